"""What Holdfast does: every capability, in the order of the documentation."""

from __future__ import annotations

from deployments.auth.routes import capability as auth
from deployments.catalog.routes import capability as catalog
from deployments.inventory.routes import capability as inventory
from deployments.meta import capability as meta
from deployments.pos.routes import capability as pos

CAPABILITIES = (meta, auth, catalog, inventory, pos)
