"""Products that get their first variant, or lose their last, which the owner of the stock hears.

While a product has variants its owner takes nothing in under its own name, so no stock is left
where nobody can sell it. No request waits for the owner with a transaction open: the writer of a
first variant marks the product, announces it to the owner, and writes only while the mark lasts
(`store/catalog/first_variants.py`). Each announcement gives the item a new sequence: BecomeSimple
names the one that was seen where no mark and no variant was, so a command that arrives late changes
nothing. Where a writer announced variants and then wrote none, the product is thought a parent
until somebody is refused for it, or `free_if_simple` looks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

from actors.messages import Refused
from actors.stock.model import BecomeParents, BecomeSimple, Level
from core.errors import Conflict, Unavailable
from core.ids import uuid7
from core.principal import Principal
from core.quantities import shown_steps
from core.request import RequestKey
from deployments.kit import desk
from deployments.kit.desk import Asked
from deployments.kit.resources import Resources
from store.catalog import bundles, first_variants
from store.catalog import products as catalog
from store.inventory import reading
from store.kit.engine import Scope, Transaction

# A request's own time: a writer that takes longer begins anew.
MARKED_SECONDS = 30.0
MAX_TRIES = 4

T = TypeVar("T")


class ProductHasStock(Conflict):
    code, title = "product_has_stock", "Product has stock"
    default_detail = (
        "A product with variants is not stocked itself. Bring its own stock to zero first: adjust"
        " what is on hand, end its holds, and receive or cancel what is on its way."
    )


class AnnounceFirst(Exception):
    """The owner has to hear that these products get variants, before any is written."""

    def __init__(self, product_ids: Sequence[UUID]) -> None:
        super().__init__(product_ids)
        self.product_ids = product_ids


class Announcement:
    """What one request has announced to the owner: products that get their first variant. Some
    stay what they are, for they are `stocked`."""

    def __init__(self) -> None:
        self.writer_id = uuid7()
        self.stocked: dict[UUID, list[Level]] = {}
        self.has_marked = False

    async def check(
        self, tx: Transaction, product_ids: Sequence[UUID]
    ) -> Mapping[UUID, Sequence[Level]]:
        """Of products without variants those that stay what they are, with the levels that forbid
        it; the others may get variants in `tx`, which has the catalogue's lock. Raises
        AnnounceFirst."""
        marked = await first_variants.marked_by(tx, self.writer_id)
        if not marked.issuperset(product_ids):
            raise AnnounceFirst(product_ids)
        return {item: self.stocked[item] for item in product_ids if item in self.stocked}


async def announced(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    tenant_id: UUID,
    attempt: Callable[[Announcement], Awaitable[T]],
) -> T:
    """Runs `attempt`, a transaction that may write first variants, after `Announcement.check`.
    Raises what it raises, and Unavailable if the marks were gone each time."""
    announcement = Announcement()
    try:
        for _ in range(MAX_TRIES):
            try:
                return await attempt(announcement)
            except AnnounceFirst as wanted:
                products = wanted.product_ids
            writer_id = announcement.writer_id
            async with shared.db.transaction(Scope(tenant_id)) as tx:
                await catalog.lock_catalog(tx, tenant_id)
                await first_variants.mark(tx, tenant_id, writer_id, products, MARKED_SECONDS)
            announcement.has_marked = True
            announcement.stocked = await become_parents(shared, principal, key, tenant_id, products)
        raise Unavailable
    finally:
        if announcement.has_marked:
            with suppress(Unavailable):  # The mark ends by itself.
                async with shared.db.transaction(Scope(tenant_id)) as tx:
                    await first_variants.unmark(tx, announcement.writer_id)


async def become_parents(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    tenant_id: UUID,
    product_ids: Sequence[UUID],
) -> dict[UUID, list[Level]]:
    """Makes parents of products that are about to get their first variant. Those that stay what
    they are, with the levels that forbid it."""
    # Decided anew at each repeat: an answer from before says nothing of the stock that is there.
    wanted = BecomeParents(tuple(product_ids))
    reply, _ = await desk.send(shared, principal, key.anew(), wanted, tenant_id)
    found: dict[UUID, list[Level]] = defaultdict(list)
    for level in reply.levels:
        found[level.product_id].append(level)
    return found


async def check_stockless(tx: Transaction, announcement: Announcement, product_id: UUID) -> None:
    """That a product may get its first variant in `tx`. Raises AnnounceFirst; ProductHasStock,
    saying where."""
    stocked = await announcement.check(tx, [product_id])
    if levels := stocked.get(product_id):
        raise ProductHasStock(
            extra={
                "levels": [
                    {
                        "locationId": str(level.location_id),
                        "onHand": shown_steps(level.on_hand, level.decimals),
                        "reserved": shown_steps(level.reserved, level.decimals),
                        "incoming": shown_steps(level.incoming, level.decimals),
                    }
                    for level in levels[:50]
                ]
            }
        )


async def free_if_simple(
    shared: Resources, principal: Principal, key: RequestKey, tenant_id: UUID, item_id: UUID
) -> None:
    """Lets a product be stocked again that its owner thinks a parent and that has no variants.
    `item_id` is its own, or that of a variant that it had."""
    async with shared.db.transaction(Scope(tenant_id)) as tx:
        await catalog.lock_catalog(tx, tenant_id)
        product_id = await catalog.product_of_item(tx, item_id)
        if product_id is None:
            return
        facts = (await bundles.facts_of(tx, [product_id])).get(product_id)
        sequence = await reading.parent_sequence(tx, product_id)
        if sequence is None or facts is None or facts.kind != "simple":
            return
        if await first_variants.is_marked(tx, product_id):
            return
    wanted = BecomeSimple(product_id, sequence)
    await desk.decide(shared.bus, principal.id, tenant_id, key.anew(), wanted)


async def settle(asked: Asked, refused: Refused) -> None:
    """After a refusal because of variants: if there are none, the next request is not refused."""
    if asked.key is None:
        return
    item_id = UUID(str(refused.facts["productId"]))
    await free_if_simple(asked.shared, asked.principal, asked.key, asked.tenant_id, item_id)
