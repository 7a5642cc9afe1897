"""What the owner of the stock must hear of the catalogue: what is gone, how quantities are
measured, and how far below none something may be sold. It is sent after the catalogue's own
commit, and again at each repeat of the request: a first try may have ended between the two."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from actors.stock.model import SetItemTerms, SetMeasure
from core.principal import Principal
from core.request import RequestKey
from deployments.business.owners import OWNERS
from deployments.catalog.access import owner_of
from deployments.kit import desk
from deployments.kit.resources import Resources
from store.catalog import products
from store.kit.engine import Scope

_AT_ONCE = 32


async def discontinue(
    shared: Resources, principal: Principal, key: RequestKey, item_id: UUID
) -> None:
    """No new holds on a product that left the catalogue, nor on any of its variants; or on a
    variant that did."""
    tenant_id = await OWNERS.of(shared).of_any(item_id)
    async with shared.db.transaction(Scope(tenant_id)) as tx:
        items = await products.with_variants(tx, [item_id])
    commands = {item: SetItemTerms(item, discontinued=True) for item in items}
    await _send(shared, principal, key, tenant_id, commands)


async def set_terms(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    item_ids: Sequence[UUID],
    *,
    new: bool = False,
) -> None:
    """Passes the limits of one business' products on, to their variants too, and how quantities are
    measured that are not of pieces. What is `new` has no limit unless the catalogue says so."""
    if not item_ids:
        return
    tenant_id = await owner_of(shared, principal, item_ids[0])
    async with shared.db.transaction(Scope(tenant_id)) as tx:
        found = await products.stock_terms(tx, item_ids)
    measured: dict[int, list[UUID]] = defaultdict(list)
    for item, (_, decimals) in found.items():
        if decimals:
            measured[decimals].append(item)
    for decimals, items in measured.items():
        # A command of its own: a host that knows nothing of measures must not pass over it.
        step = key.step(f"measure {decimals}")
        await desk.send(shared, principal, step, SetMeasure(tuple(items), decimals), tenant_id)
    commands = {
        item: SetItemTerms(item, backorder_limit=limit, decimals=decimals)
        for item, (limit, decimals) in found.items()
        if limit or not new
    }
    await _send(shared, principal, key, tenant_id, commands)


async def _send(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    tenant_id: UUID,
    commands: Mapping[UUID, SetItemTerms],
) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def send(item_id: UUID, wanted: SetItemTerms) -> None:
        async with turns:
            step = key.step(f"terms {item_id}")
            await desk.send(shared, principal, step, wanted, tenant_id)

    await asyncio.gather(*(send(item_id, command) for item_id, command in commands.items()))
