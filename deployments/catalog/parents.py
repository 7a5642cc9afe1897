"""Products that get their first variant, or lose their last: the owner of the stock is told.

While a product has variants its owner takes nothing in under its own name, so no stock is left
where nobody can sell it. What the owner is told is told under the lock of the catalogue, and each
telling gives the item a new sequence: BecomeSimple names the one it saw, so one that arrives late,
when its sender has lost the lock, changes nothing. Where a writer told of variants and then wrote
none, the product is thought a parent until somebody is refused for it, or `free_if_simple` looks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from actors.families import COMMERCE, decode_reply, encode_command
from actors.messages import Refused
from actors.runtime.bus import CommandBus
from actors.stock.model import BecomeParents, BecomeSimple, Level
from core.errors import Conflict
from core.principal import Principal
from core.request import RequestKey
from store import catalog, catalog_bundles, inventory
from store.engine import Database, Scope


class ProductHasStock(Conflict):
    code, title = "product_has_stock", "Product has stock"
    default_detail = (
        "A product with variants is not stocked itself. Bring its own stock to zero first: adjust"
        " what is on hand, end its holds, and receive or cancel what is on its way."
    )


async def become_parents(
    bus: CommandBus,
    principal: Principal,
    key: RequestKey,
    tenant_id: UUID,
    product_ids: Sequence[UUID],
) -> dict[UUID, list[Level]]:
    """Makes parents of products that are about to get their first variant, under the lock of the
    catalogue. Those that stay what they are, with the levels that forbid it."""
    # Decided anew at each repeat: an answer from before says nothing of the stock that is there.
    body = encode_command(BecomeParents(tuple(product_ids)))
    decided = await bus.send(COMMERCE, tenant_id, principal.id, body, key.anew())
    found: dict[UUID, list[Level]] = defaultdict(list)
    for level in decode_reply(decided.reply).levels:
        found[level.product_id].append(level)
    return found


async def check_stockless(
    bus: CommandBus, principal: Principal, key: RequestKey, tenant_id: UUID, product_id: UUID
) -> None:
    """The same for one product. Raises ProductHasStock, saying where."""
    stocked = await become_parents(bus, principal, key, tenant_id, [product_id])
    if levels := stocked.get(product_id):
        raise ProductHasStock(
            extra={
                "levels": [
                    {
                        "locationId": str(level.location_id),
                        "onHand": level.on_hand,
                        "reserved": level.reserved,
                        "incoming": level.incoming,
                    }
                    for level in levels[:50]
                ]
            }
        )


async def free_if_simple(
    db: Database,
    bus: CommandBus,
    principal: Principal,
    key: RequestKey,
    tenant_id: UUID,
    item_id: UUID,
) -> None:
    """Lets a product be stocked again that its owner thinks a parent and that has no variants.
    `item_id` is its own, or that of a variant that it had."""
    async with db.transaction(Scope(tenant_id)) as tx:
        await catalog.lock_catalog(tx, tenant_id)
        product_id = await catalog.product_of_item(tx, item_id)
        if product_id is None:
            return
        facts = (await catalog_bundles.facts_of(tx, [product_id])).get(product_id)
        sequence = await inventory.parent_sequence(tx, product_id)
        if sequence is None or facts is None or facts.kind != "simple":
            return
        body = encode_command(BecomeSimple(product_id, sequence))
        await bus.send(COMMERCE, tenant_id, principal.id, body, key.anew())


async def settle(
    db: Database,
    bus: CommandBus,
    principal: Principal,
    key: RequestKey,
    tenant_id: UUID,
    reply: Any,
) -> None:
    """After a refusal because of variants: if there are none, the next request is not refused."""
    if isinstance(reply, Refused) and reply.code == "choose_variant":
        item_id = UUID(str(reply.facts["productId"]))
        await free_if_simple(db, bus, principal, key, tenant_id, item_id)
