"""What the tree of categories does: whoever names a path plants what is missing of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from core.errors import Conflict
from deployments.catalog.category_rules import planted, slugs_for, with_ancestors
from store import catalog_categories as stored
from store.catalog_categories import MAX_CATEGORIES
from store.engine import Transaction


async def ensure(
    tx: Transaction, tenant_id: UUID, paths: Iterable[str | None], now: datetime
) -> None:
    """Makes the categories that the paths name, as far as they are not there. The catalogue must
    be locked. Raises Conflict if the business would have more than MAX_CATEGORIES."""
    wanted = with_ancestors(path for path in paths if path)
    if not wanted:
        return
    known = await stored.by_paths(tx, tenant_id, wanted)
    missing = [path for path in wanted if path not in known]
    if not missing:
        return
    if await stored.count(tx, tenant_id) + len(missing) > MAX_CATEGORIES:
        raise Conflict(f"A business has at most {MAX_CATEGORIES} categories.")
    slugs = {slug for path in missing for slug in slugs_for(path)}
    taken = await stored.taken_slugs(tx, tenant_id, slugs)
    await stored.add(tx, planted(missing, known, taken, tenant_id, now))
