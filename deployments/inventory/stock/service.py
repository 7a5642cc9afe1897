"""What is held and what there is: commands to the owner of the stock, and questions to it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import NamedTuple
from uuid import UUID

from actors.messages import Command
from actors.stock.model import GetLevels, GetReservation, Hold, Line, ReleaseOldest, Reserve
from core.errors import BundleHasNoStock, NotFound
from core.ids import uuid7
from core.principal import Principal
from core.quantities import from_steps
from core.request import RequestKey
from deployments.business.owners import OWNERS, Goods
from deployments.business.places import PLACES
from deployments.inventory.stock.bundles import expanded
from deployments.inventory.stock.schemas import (
    LevelOut,
    NewRelease,
    NewReservation,
    ReleasedOut,
    ReservationOut,
)
from deployments.inventory.stock.shapes import bundle_level, level_out, reservation_out
from deployments.kit import desk
from deployments.kit.desk import Draft
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from gateway.access import tenant_of
from store.catalog import bundles as catalog_bundles
from store.kit.engine import Scope


async def check(
    shared: Resources,
    principal: Principal,
    product_ids: Iterable[UUID],
    location_ids: Iterable[UUID | None] = (),
) -> Goods:
    """That all of these are the business's own, and the items such as have stock; what they are.
    Raises NotFound, ChooseVariant, ServiceHasNoStock or BundleHasNoStock."""
    tenant_id = tenant_of(principal)
    goods = await OWNERS.of(shared).goods(tenant_id, product_ids)
    if goods.bundles:
        raise BundleHasNoStock(extra={"productId": str(min(goods.bundles))})
    for location_id in set(location_ids):
        await PLACES.of(shared).check(tenant_id, location_id)
    return goods


async def reserve(
    shared: Resources, principal: Principal, key: RequestKey, body: NewReservation
) -> Ordered[ReservationOut]:
    """Holds all lines or none; of a bundle, its parts."""
    held = await hold(shared, principal, key, body)
    return held.to(partial(reservation_out, tenant_of(principal)))


async def hold(
    shared: Resources, principal: Principal, key: RequestKey, body: NewReservation
) -> Ordered[Hold]:
    """The same, as the owner says it."""
    tenant_id = tenant_of(principal)

    async def draft() -> Reserve:
        wanted = _wanted_lines(body)
        if body.location_id is not None:
            await PLACES.of(shared).check(tenant_id, body.location_id)
        goods = await OWNERS.of(shared).goods(tenant_id, [line.product_id for line in wanted])
        lines = tuple([Line(item, goods.steps(item, number, at)) for item, number, at in wanted])
        measures = goods.measures
        if goods.bundles:
            async with shared.db.transaction(Scope(tenant_id=tenant_id)) as tx:
                parts, measures = await expanded(tx, lines, goods.decimals)
            lines = tuple(Line(*part) for part in parts)
        ttl_ms = body.ttl_seconds * 1000
        return Reserve(uuid7(), lines, ttl_ms, body.reference, body.location_id, measures)

    return await desk.send(shared, principal, key, draft)


class _Wanted(NamedTuple):
    """So many units of a product, as the field says."""

    product_id: UUID
    quantity: int | Decimal
    field: str


def _wanted_lines(body: NewReservation) -> list[_Wanted]:
    if body.lines is not None:
        return [
            _Wanted(line.product_id, line.quantity, f"lines[{number}].quantity")
            for number, line in enumerate(body.lines)
        ]
    if body.product_id is not None and body.quantity is not None:
        return [_Wanted(body.product_id, body.quantity, "quantity")]
    raise ValueError("a NewReservation has one of two forms")


async def change_hold(
    shared: Resources, principal: Principal, key: RequestKey, wanted: Command[Hold] | Draft[Hold]
) -> Ordered[ReservationOut]:
    """Has the owner decide about a reservation of the caller's business."""
    hold = await desk.send(shared, principal, key, wanted)
    return hold.to(partial(reservation_out, tenant_of(principal)))


async def release_oldest(
    shared: Resources, principal: Principal, key: RequestKey, body: NewRelease
) -> Ordered[ReleasedOut]:
    """Frees the caller's own oldest open holds of a product."""

    async def draft() -> ReleaseOldest:
        goods = await check(shared, principal, [body.product_id], [body.location_id])
        quantity = goods.steps(body.product_id, body.quantity)
        return ReleaseOldest(body.product_id, quantity, body.location_id, goods.measures)

    freed = await desk.send(shared, principal, key, draft)
    return freed.to(
        lambda reply: ReleasedOut(
            product_id=body.product_id,
            released=from_steps(reply.quantity, reply.level.decimals),
            quantity=from_steps(max(reply.level.available, 0), reply.level.decimals),
            reservation_ids=list(reply.reservation_ids),
        )
    )


async def level(
    shared: Resources, principal: Principal, product_id: UUID, location_id: UUID | None
) -> LevelOut:
    """An item's level everywhere, or at one location. Raises NotFound, ChooseVariant."""
    tenant_id = await OWNERS.of(shared).of(product_id)
    if location_id is not None:
        await PLACES.of(shared).check(tenant_id, location_id)
    if (await OWNERS.of(shared).goods(tenant_id, [product_id])).bundles:
        async with shared.db.transaction(Scope(tenant_id=tenant_id)) as tx:
            parts = (await catalog_bundles.components_of(tx, [product_id])).get(product_id, ())
        items = [product_id, *(part.item_id for part in parts)]
    else:
        parts, items = (), [product_id]
    wanted = GetLevels(tuple(items), location_id, everywhere=location_id is None)
    found = (await desk.ask(shared, principal, wanted, tenant_id)).levels
    if found[0].discontinued and principal.tenant_id != tenant_id:
        raise NotFound("There is no such product.")
    if parts:
        shown = bundle_level(tenant_id, product_id, parts, found)
    else:
        shown = level_out(tenant_id, found)
    if principal.tenant_id != tenant_id:
        for place in shown.locations:
            place.sequence = None  # Strangers do not get to count what a shop moves.
    return shown


async def reservation(
    shared: Resources, principal: Principal, reservation_id: UUID
) -> ReservationOut:
    """A reservation of the caller's business, from its owner. Raises NotFound."""
    hold = await desk.ask(shared, principal, GetReservation(reservation_id))
    return reservation_out(tenant_of(principal), hold)
