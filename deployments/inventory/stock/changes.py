"""Changes of many levels over HTTP: adjustments, batches, counts, and what holds for an item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response

from actors.stock import model as m
from core.errors import (
    BundleHasNoStock,
    ChooseVariant,
    Conflict,
    FieldError,
    InsufficientStock,
    NotFound,
    StockChanged,
    StockLimitReached,
    ValidationFailed,
)
from core.principal import MANAGEMENT, Principal, Role
from core.request import RequestKey
from deployments.business.owners import OWNERS
from deployments.inventory.stock import schemas as s
from deployments.inventory.stock import service
from deployments.kit import desk
from deployments.kit.receipts import RECEIPT, set_receipt
from deployments.kit.resources import Resources, Shared
from deployments.kit.router import Router
from gateway.access import require
from gateway.errors import responses
from gateway.idempotency import request_key
from gateway.schemas import Envelope

router = Router()

Manager = Annotated[Principal, Depends(require(MANAGEMENT))]
Repairer = Annotated[Principal, Depends(require(MANAGEMENT | {Role.ADMIN}, tenant=False))]
Key = Annotated[RequestKey, Depends(request_key)]

_REFUSALS = responses(
    NotFound,
    ChooseVariant,
    BundleHasNoStock,
    InsufficientStock,
    StockLimitReached,
    StockChanged,
)


@router.post("/adjustments", summary="Adjust a level", responses=RECEIPT | _REFUSALS)
async def adjust(
    shared: Shared, principal: Manager, key: Key, body: s.AdjustmentBody, response: Response
) -> Envelope[list[s.PlaceLevel]]:
    """Corrects what is on hand, with a reason; never below what is reserved. With
    `expectedSequence` or `expectedOnHand` only if the level is still so."""

    def lines() -> Iterator[m.Adjustment]:
        for number, line in enumerate(body.lines):
            yield m.Adjustment(
                line.product_id,
                line.delta,
                line.location_id,
                "adjust",
                line.expected_sequence,
                line.expected_on_hand,
                None,
                service.occurred_ms(key, line.occurred_at, f"lines[{number}].occurredAt"),
            )

    return await _change(shared, principal, key, lines, body, response)


@router.post("/batch", summary="Adjust many levels", responses=RECEIPT | _REFUSALS)
async def batch(
    shared: Shared, principal: Manager, key: Key, body: s.BatchBody, response: Response
) -> Envelope[list[s.PlaceLevel]]:
    """Sets, adds to and adjusts levels, lines of one level after one another: one command, all or
    nothing."""

    def lines() -> Iterator[m.Adjustment]:
        for number, line in enumerate(body.lines):
            yield m.Adjustment(
                line.product_id,
                line.quantity,
                line.location_id,
                line.action.value,
                line.expected_sequence,
                line.expected_on_hand,
                line.low_stock_threshold,
                service.occurred_ms(key, line.occurred_at, f"lines[{number}].occurredAt"),
            )

    return await _change(shared, principal, key, lines, body, response)


async def _change(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    lines: Callable[[], Iterable[m.Adjustment]],
    body: s.AdjustmentBody | s.BatchBody,
    response: Response,
) -> Envelope[list[s.PlaceLevel]]:
    tenant_id = service.tenant_of(principal)

    async def draft() -> m.Adjust:
        wanted = tuple(lines())
        await service.check(
            shared,
            principal,
            (line.product_id for line in wanted),
            (line.location_id for line in wanted),
        )
        dated = (line for line in wanted if line.occurred_at_ms is not None)
        _once(
            tenant_id,
            ((line.product_id, line.location_id) for line in dated),
            "a level may be given one movement with `occurredAt` at a time",
        )
        return m.Adjust(wanted, body.reason.value, body.reference)

    reply, receipts = await desk.send(shared, principal, key, draft)
    set_receipt(response, receipts)
    return Envelope(data=[service.place_level(tenant_id, level) for level in reply.levels])


@router.post(
    "/counts",
    summary="Record physical counts",
    responses=RECEIPT | responses(NotFound, BundleHasNoStock, StockLimitReached),
)
async def count(
    shared: Shared, principal: Manager, key: Key, body: s.CountBody, response: Response
) -> Envelope[list[s.PlaceLevel]]:
    """A level becomes what was counted, plus what moved after that moment. It does not matter in
    which order counts and movements arrive; a count that is older than one which is already in
    goes into the ledger and changes nothing."""
    tenant_id = service.tenant_of(principal)

    async def draft() -> m.Count:
        lines = []
        for number, line in enumerate(body.lines):
            at_ms = service.occurred_ms(key, line.counted_at, f"lines[{number}].countedAt")
            at_ms = key.arrived_ms if at_ms is None else at_ms
            lines.append(m.CountLine(line.product_id, line.counted, at_ms, line.location_id))
        await service.check(
            shared,
            principal,
            (line.product_id for line in lines),
            (line.location_id for line in lines),
        )
        _once(
            tenant_id,
            ((line.product_id, line.location_id) for line in lines),
            "a level may be counted once at a time",
        )
        return m.Count(tuple(lines), body.reference)

    reply, receipts = await desk.send(shared, principal, key, draft)
    set_receipt(response, receipts)
    return Envelope(data=[service.place_level(tenant_id, level) for level in reply.levels])


@router.post(
    "/repairs",
    summary="Repair a level from its ledger",
    responses=RECEIPT | responses(NotFound, Conflict),
)
async def repair(
    shared: Shared, principal: Repairer, key: Key, body: s.RepairBody, response: Response
) -> Envelope[s.RepairOut]:
    """Brings a level back to what its ledger and the open holds come to, should it ever differ.
    `holdfast drift` finds where that is needed."""
    if principal.role is Role.ADMIN:
        tenant_id = await OWNERS.of(shared).of_any(body.product_id)
    else:
        tenant_id = service.tenant_of(principal)

    async def draft() -> m.Repair:
        if principal.role is not Role.ADMIN:
            await OWNERS.of(shared).check(tenant_id, [body.product_id])
        # The location may be deleted by now; its level must be right all the same.
        return m.Repair(body.product_id, body.reason, body.location_id)

    reply, receipts = await desk.send(shared, principal, key, draft, tenant_id)
    set_receipt(response, receipts)
    return Envelope(
        data=s.RepairOut(
            repaired=reply.repaired,
            before=service.place_level(tenant_id, reply.before),
            after=service.place_level(tenant_id, reply.after),
        )
    )


def _once(tenant_id: UUID, levels: Iterable[tuple[UUID, UUID | None]], rule: str) -> None:
    seen: set[tuple[UUID, UUID]] = set()
    for product_id, location_id in levels:
        place = (product_id, location_id or tenant_id)
        if place in seen:
            raise ValidationFailed([FieldError("lines", f"{rule}: {product_id}")])
        seen.add(place)
