"""What inventory does: commands to the owner of the stock, lists from Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from actors.stock import model as m
from core import moments
from core.errors import BundleHasNoStock, FieldError, NotFound, ValidationFailed
from core.ids import uuid7
from core.principal import Principal
from core.request import RequestKey
from deployments.business.owners import OWNERS
from deployments.business.places import PLACES
from deployments.inventory.stock import schemas as s
from deployments.inventory.stock.bundles import available, expanded
from deployments.kit import desk
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from store.catalog import bundles as catalog_bundles
from store.catalog.bundles import Component
from store.kit.engine import Scope

DAY_MS = 86_400_000
# Between a caller's clock and ours.
MAX_CLOCK_SKEW_MS = 60_000


async def check(
    shared: Resources,
    principal: Principal,
    product_ids: Iterable[UUID],
    location_ids: Iterable[UUID | None] = (),
) -> UUID:
    """The caller's business, whose own all of these are, and the items such as have stock. Raises
    NotFound, ChooseVariant or BundleHasNoStock."""
    tenant_id = tenant_of(principal)
    if bundles := await OWNERS.of(shared).bundles(tenant_id, product_ids):
        raise BundleHasNoStock(extra={"productId": str(min(bundles))})
    for location_id in set(location_ids):
        await PLACES.of(shared).check(tenant_id, location_id)
    return tenant_id


async def reserve(
    shared: Resources, principal: Principal, key: RequestKey, body: s.ReserveBody
) -> Ordered[m.Hold]:
    """Holds all lines or none; of a bundle, its parts."""
    tenant_id = tenant_of(principal)

    async def draft() -> m.Reserve:
        lines = _wanted_lines(body)
        await PLACES.of(shared).check(tenant_id, body.location_id)
        if await OWNERS.of(shared).bundles(tenant_id, (line.product_id for line in lines)):
            async with shared.db.transaction(Scope(tenant_id=tenant_id)) as tx:
                parts, _ = await expanded(tx, lines)
            lines = tuple(m.Line(*part) for part in parts)
        ttl_ms = body.ttl_seconds * 1000
        return m.Reserve(uuid7(), lines, ttl_ms, body.reference, body.location_id)

    return await desk.send(shared, principal, key, draft)


def _wanted_lines(body: s.ReserveBody) -> tuple[m.Line, ...]:
    if body.lines is not None:
        return tuple(m.Line(line.product_id, line.quantity) for line in body.lines)
    if body.product_id is not None and body.quantity is not None:
        return (m.Line(body.product_id, body.quantity),)
    raise ValueError("a ReserveBody has one of two forms")


async def level(
    shared: Resources, principal: Principal, product_id: UUID, location_id: UUID | None
) -> s.LevelOut:
    """An item's level everywhere, or at one location. Raises NotFound, ChooseVariant."""
    tenant_id = await OWNERS.of(shared).of(product_id)
    if location_id is not None:
        await PLACES.of(shared).check(tenant_id, location_id)
    if await OWNERS.of(shared).bundles(tenant_id, [product_id]):
        async with shared.db.transaction(Scope(tenant_id=tenant_id)) as tx:
            parts = (await catalog_bundles.components_of(tx, [product_id])).get(product_id, ())
        items = [product_id, *(part.item_id for part in parts)]
    else:
        parts, items = (), [product_id]
    wanted = m.GetLevels(tuple(items), location_id, everywhere=location_id is None)
    found = (await desk.ask(shared, principal, wanted, tenant_id)).levels
    if found[0].discontinued and principal.tenant_id != tenant_id:
        raise NotFound("There is no such product.")
    if parts:
        return bundle_level(tenant_id, product_id, parts, found)
    return level_out(tenant_id, found)


async def reservation(shared: Resources, principal: Principal, reservation_id: UUID) -> m.Hold:
    """A reservation of the caller's business, from its owner. Raises NotFound."""
    return await desk.ask(shared, principal, m.GetReservation(reservation_id))


def occurred_ms(key: RequestKey, given: datetime | None, field: str) -> int | None:
    """A moment in the past as ms since the epoch. Raises ValidationFailed, naming the field, for
    one to come, or too long ago."""
    if given is None:
        return None
    ms = moments.to_ms(given)
    if ms > key.arrived_ms + MAX_CLOCK_SKEW_MS:
        raise ValidationFailed([FieldError(field, "must not be in the future")])
    if ms < key.arrived_ms - s.MAX_AGE_DAYS * DAY_MS:
        raise ValidationFailed([FieldError(field, f"must be in the last {s.MAX_AGE_DAYS} days")])
    return ms


def tenant_of(principal: Principal) -> UUID:
    """The business that the caller acts for; routes that need one let nobody else in."""
    if principal.tenant_id is None:
        raise NotFound
    return principal.tenant_id


def level_out(tenant_id: UUID, levels: Sequence[m.Level]) -> s.LevelOut:
    """Levels of one item at some locations, and their sums."""
    places = [place_level(tenant_id, level) for level in levels]
    return s.LevelOut(
        product_id=levels[0].product_id,
        quantity=sum(place.quantity for place in places),
        on_hand=sum(place.on_hand for place in places),
        reserved=sum(place.reserved for place in places),
        incoming=sum(place.incoming for place in places),
        low_stock_threshold=sum(place.low_stock_threshold for place in places),
        is_low_stock=any(place.is_low_stock for place in places),
        backorder_limit=levels[0].backorder_limit,
        locations=places,
    )


def bundle_level(
    tenant_id: UUID, bundle_id: UUID, parts: Sequence[Component], levels: Sequence[m.Level]
) -> s.LevelOut:
    """What the parts at each location make: whole bundles on hand, and free."""
    by_place: dict[UUID, dict[UUID, m.Level]] = {}
    for level in levels:
        by_place.setdefault(level.location_id or tenant_id, {})[level.product_id] = level
    bundles = []
    for location_id, there in by_place.items():
        on_hand = available(parts, {one: level.on_hand for one, level in there.items()})
        free = available(parts, {one: level.available for one, level in there.items()})
        bundles.append(m.Level(bundle_id, on_hand, on_hand - free, 0, location_id=location_id))
    return level_out(tenant_id, bundles)


def place_level(tenant_id: UUID, level: m.Level) -> s.PlaceLevel:
    return s.PlaceLevel(
        product_id=level.product_id,
        location_id=level.location_id or tenant_id,
        # What is owed at one location takes nothing from what is free at others.
        quantity=max(level.available, 0),
        on_hand=level.on_hand,
        reserved=level.reserved,
        incoming=level.incoming,
        low_stock_threshold=level.low_stock_threshold,
        is_low_stock=level.is_low,
        sequence=level.sequence,
    )


def reservation_out(tenant_id: UUID, hold: m.Hold) -> s.ReservationOut:
    available = {level.product_id: max(level.available, 0) for level in hold.levels}
    lines = [
        s.HeldLine(product_id=product, quantity=quantity, available=available[product])
        for product, quantity in hold.lines
    ]
    only: dict[str, Any] = lines[0].model_dump() if len(lines) == 1 else {}
    return s.ReservationOut(
        reservation_id=hold.reservation_id,
        location_id=hold.location_id or tenant_id,
        status=hold.status,
        expires_at=moment(hold.expires_at_ms),
        created_at=moment(hold.created_at_ms),
        reference=hold.reference,
        lines=lines,
        **only,
    )


def moment(ms: int) -> datetime:
    """A point in time from ms since the epoch."""
    return moments.of_ms(ms)
