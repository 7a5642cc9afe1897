"""What the end of a business means for its catalogue."""

from __future__ import annotations

from deployments.kit.capability import Closing
from store.catalog import products


async def leave_the_shelf(closing: Closing) -> None:
    """Its products are deleted; what was sold of them stays sold."""
    await products.lock_catalog(closing.tx, closing.tenant_id)
    await products.remove_all(closing.tx, closing.tenant_id, closing.at)
