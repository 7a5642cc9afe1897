"""What Holdfast does: every capability, in the order of the documentation."""

from __future__ import annotations

from deployments.auth.routes import capability as auth
from deployments.business.routes import capability as business
from deployments.catalog.products.routes import capability as catalog
from deployments.inventory.stock.routes import capability as inventory
from deployments.meta import capability as meta
from deployments.pos.routes import capability as pos
from deployments.users.routes import capability as users

CAPABILITIES = (meta, auth, users, business, catalog, inventory, pos)
