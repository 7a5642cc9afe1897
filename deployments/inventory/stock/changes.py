"""Levels are changed: goods come in, are corrected and counted; terms are set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from actors.stock.model import (
    AddStock,
    Adjust,
    Adjustment,
    Count,
    CountLine,
    Levels,
    Repair,
    SetItemTerms,
)
from core.errors import FieldError, ValidationFailed
from core.moments import to_ms
from core.principal import Principal, Role
from core.quantities import from_steps
from core.request import RequestKey
from deployments.business.owners import OWNERS, Goods
from deployments.inventory.stock.schemas import (
    MAX_AGE_DAYS,
    NewAdjustment,
    NewBatch,
    NewRepair,
    NewStock,
    NewStockCounts,
    PlaceLevelOut,
    RepairOut,
    TermsChanges,
    TermsOut,
)
from deployments.inventory.stock.service import check
from deployments.inventory.stock.shapes import place_level
from deployments.kit import desk
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from gateway.access import tenant_of

DAY_MS = 86_400_000
# Between a caller's clock and ours.
MAX_CLOCK_SKEW_MS = 60_000


async def add(
    shared: Resources, principal: Principal, key: RequestKey, body: NewStock
) -> Ordered[PlaceLevelOut]:
    """Goods come in. Raises what `check` raises, and StockLimitReached."""

    async def draft() -> AddStock:
        goods = await check(shared, principal, [body.product_id], [body.location_id])
        return AddStock(
            body.product_id,
            goods.steps(body.product_id, body.quantity),
            _steps(goods, body.product_id, body.low_stock_threshold, "lowStockThreshold"),
            body.reference,
            body.location_id,
            goods.measures,
        )

    added = await desk.send(shared, principal, key, draft)
    return added.to(lambda reply: place_level(tenant_of(principal), reply.levels[0]))


async def adjust(
    shared: Resources, principal: Principal, key: RequestKey, body: NewAdjustment
) -> Ordered[list[PlaceLevelOut]]:
    """Signed corrections: all of them, or none."""

    def lines(goods: Goods) -> Iterator[Adjustment]:
        for number, line in enumerate(body.lines):
            item, path = line.product_id, f"lines[{number}]"
            yield Adjustment(
                item,
                goods.steps(item, line.delta, f"{path}.delta"),
                line.location_id,
                "adjust",
                line.expected_sequence,
                _steps(goods, item, line.expected_on_hand, f"{path}.expectedOnHand"),
                None,
                occurred_ms(key, line.occurred_at, f"{path}.occurredAt"),
            )

    return await _adjusted(shared, principal, key, lines, body)


async def adjust_many(
    shared: Resources, principal: Principal, key: RequestKey, body: NewBatch
) -> Ordered[list[PlaceLevelOut]]:
    """Sets, adds and adjusts: all of it, or nothing."""

    def lines(goods: Goods) -> Iterator[Adjustment]:
        for number, line in enumerate(body.lines):
            item, path = line.product_id, f"lines[{number}]"
            yield Adjustment(
                item,
                goods.steps(item, line.quantity, f"{path}.quantity"),
                line.location_id,
                line.action.value,
                line.expected_sequence,
                _steps(goods, item, line.expected_on_hand, f"{path}.expectedOnHand"),
                _steps(goods, item, line.low_stock_threshold, f"{path}.lowStockThreshold"),
                occurred_ms(key, line.occurred_at, f"{path}.occurredAt"),
            )

    return await _adjusted(shared, principal, key, lines, body)


async def _adjusted(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    lines: Callable[[Goods], Iterable[Adjustment]],
    body: NewAdjustment | NewBatch,
) -> Ordered[list[PlaceLevelOut]]:
    async def draft() -> Adjust:
        goods = await check(
            shared,
            principal,
            [line.product_id for line in body.lines],
            (line.location_id for line in body.lines),
        )
        wanted = tuple(lines(goods))
        dated = (line for line in wanted if line.occurred_at_ms is not None)
        _check_each_once(
            tenant_of(principal),
            ((line.product_id, line.location_id) for line in dated),
            "a level may be given one movement with `occurredAt` at a time",
        )
        return Adjust(wanted, body.reason.value, body.reference, goods.measures)

    return _places(principal, await desk.send(shared, principal, key, draft))


async def count(
    shared: Resources, principal: Principal, key: RequestKey, body: NewStockCounts
) -> Ordered[list[PlaceLevelOut]]:
    """Levels become what was counted, plus what moved since: all of them, or none."""

    async def draft() -> Count:
        goods = await check(
            shared,
            principal,
            [line.product_id for line in body.lines],
            (line.location_id for line in body.lines),
        )
        lines = []
        for number, line in enumerate(body.lines):
            at_ms = occurred_ms(key, line.counted_at, f"lines[{number}].countedAt")
            at_ms = key.arrived_ms if at_ms is None else at_ms
            counted = goods.steps(line.product_id, line.counted, f"lines[{number}].counted")
            lines.append(CountLine(line.product_id, counted, at_ms, line.location_id))
        _check_each_once(
            tenant_of(principal),
            ((line.product_id, line.location_id) for line in lines),
            "a level may be counted once at a time",
        )
        return Count(tuple(lines), body.reference, goods.measures)

    return _places(principal, await desk.send(shared, principal, key, draft))


async def repair(
    shared: Resources, principal: Principal, key: RequestKey, body: NewRepair
) -> Ordered[RepairOut]:
    """A level becomes what its ledger comes to. An administrator repairs that of any business.
    Raises NotFound."""
    is_admin = principal.role is Role.ADMIN
    if is_admin:
        tenant_id = await OWNERS.of(shared).of_any(body.product_id)
    else:
        tenant_id = tenant_of(principal)

    async def draft() -> Repair:
        if not is_admin:
            await OWNERS.of(shared).check(tenant_id, [body.product_id])
        # The location may be deleted by now; its level must be right all the same.
        return Repair(body.product_id, body.reason, body.location_id)

    repaired = await desk.send(shared, principal, key, draft, tenant_id)
    return repaired.to(
        lambda reply: RepairOut(
            repaired=reply.repaired,
            before=place_level(tenant_id, reply.before),
            after=place_level(tenant_id, reply.after),
        )
    )


async def set_terms(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    product_id: UUID,
    body: TermsChanges,
) -> Ordered[TermsOut]:
    """What holds for an item at all locations. Raises what `check` raises."""

    async def draft() -> SetItemTerms:
        goods = await check(shared, principal, [product_id])
        limit = _steps(goods, product_id, body.backorder_limit, "backorderLimit")
        decimals = goods.decimals.get(product_id, 0)
        return SetItemTerms(product_id, backorder_limit=limit, decimals=decimals)

    terms = await desk.send(shared, principal, key, draft)
    return terms.to(
        lambda reply: TermsOut(
            product_id=product_id,
            backorder_limit=from_steps(reply.backorder_limit, reply.decimals),
        )
    )


def _steps(
    goods: Goods, product_id: UUID, quantity: int | Decimal | None, field: str
) -> int | None:
    return None if quantity is None else goods.steps(product_id, quantity, field)


def occurred_ms(
    key: RequestKey, given: datetime | None, field: str, ahead_ms: int = MAX_CLOCK_SKEW_MS
) -> int | None:
    """A moment in the past as ms since the epoch; `ahead_ms` is how fast the caller's clock may be.
    Raises ValidationFailed, naming the field, for one to come, or too long ago."""
    if given is None:
        return None
    ms = to_ms(given)
    if ms > key.arrived_ms + ahead_ms:
        raise ValidationFailed([FieldError(field, "must not be in the future")])
    if ms < key.arrived_ms - MAX_AGE_DAYS * DAY_MS:
        raise ValidationFailed([FieldError(field, f"must be in the last {MAX_AGE_DAYS} days")])
    return ms


def _places(principal: Principal, decided: Ordered[Levels]) -> Ordered[list[PlaceLevelOut]]:
    tenant_id = tenant_of(principal)
    return decided.to(lambda reply: [place_level(tenant_id, level) for level in reply.levels])


def _check_each_once(
    tenant_id: UUID, levels: Iterable[tuple[UUID, UUID | None]], rule: str
) -> None:
    """Raises ValidationFailed, with the rule, for a level that is named twice."""
    seen: set[tuple[UUID, UUID]] = set()
    for product_id, location_id in levels:
        place = (product_id, location_id or tenant_id)
        if place in seen:
            raise ValidationFailed([FieldError("lines", f"{rule}: {product_id}")])
        seen.add(place)
