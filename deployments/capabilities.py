"""What Holdfast does: every capability, in the order of the documentation."""

from __future__ import annotations

from deployments import meta
from deployments.auth.capability import capability as auth
from deployments.business.capability import capability as business
from deployments.catalog.capability import capability as catalog
from deployments.crm.capability import capability as crm
from deployments.inventory.capability import capability as inventory
from deployments.kit.capability import Capability
from deployments.pos.capability import capability as pos
from deployments.users.capability import capability as users

CAPABILITIES: tuple[Capability, ...] = (
    meta.capability,
    auth,
    users,
    business,
    catalog,
    inventory,
    pos,
    crm,
)
