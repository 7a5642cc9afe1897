"""Changes of many levels over HTTP: adjustments, batches, counts, repairs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from core.errors import (
    BundleHasNoStock,
    ChooseVariant,
    Conflict,
    InsufficientStock,
    MeasureChanged,
    NotFound,
    ServiceHasNoStock,
    StockChanged,
    StockLimitReached,
)
from core.principal import MANAGEMENT, Principal, Role
from deployments.inventory.stock import changes
from deployments.inventory.stock.schemas import (
    NewAdjustment,
    NewBatch,
    NewRepair,
    NewStockCounts,
    PlaceLevelOut,
    RepairOut,
)
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.kit.routes import Key, Manager
from gateway.access import require
from gateway.errors import responses

router = Router()

Repairer = Annotated[Principal, Depends(require(MANAGEMENT | {Role.ADMIN}, tenant=False))]

_REFUSALS = responses(
    NotFound,
    ChooseVariant,
    MeasureChanged,
    ServiceHasNoStock,
    BundleHasNoStock,
    InsufficientStock,
    StockLimitReached,
    StockChanged,
)


@router.post("/adjustments", summary="Adjust a level", responses=_REFUSALS)
async def adjust(
    shared: Shared, principal: Manager, key: Key, body: NewAdjustment
) -> Ordered[list[PlaceLevelOut]]:
    """Corrects what is on hand, with a reason; never below what is reserved. With
    `expectedSequence` or `expectedOnHand` only if the level is still so."""
    return await changes.adjust(shared, principal, key, body)


@router.post("/batch", summary="Adjust many levels", responses=_REFUSALS)
async def batch(
    shared: Shared, principal: Manager, key: Key, body: NewBatch
) -> Ordered[list[PlaceLevelOut]]:
    """Sets, adds to and adjusts levels, lines of one level after one another: one command, all or
    nothing."""
    return await changes.adjust_many(shared, principal, key, body)


@router.post(
    "/counts",
    summary="Record physical counts",
    responses=responses(
        NotFound,
        ChooseVariant,
        MeasureChanged,
        ServiceHasNoStock,
        BundleHasNoStock,
        StockLimitReached,
    ),
)
async def count(
    shared: Shared, principal: Manager, key: Key, body: NewStockCounts
) -> Ordered[list[PlaceLevelOut]]:
    """A level becomes what was counted, plus what moved after that moment. It does not matter in
    which order counts and movements arrive; a count that is older than one which is already in
    goes into the ledger and changes nothing."""
    return await changes.count(shared, principal, key, body)


@router.post(
    "/repairs",
    summary="Repair a level from its ledger",
    responses=responses(NotFound, Conflict),
)
async def repair(
    shared: Shared, principal: Repairer, key: Key, body: NewRepair
) -> Ordered[RepairOut]:
    """Brings a level back to what its ledger and the open holds come to, should it ever differ.
    `holdfast drift` finds where that is needed."""
    return await changes.repair(shared, principal, key, body)
