"""Reserving, the hottest route."""

from __future__ import annotations

from functools import partial
from typing import Any

from actors.stock.model import Hold
from core.principal import STAFF, Principal
from core.quantities import shown_steps
from deployments.inventory.stock.schemas import HeldLineOut, NewReservation, ReservationOut
from deployments.inventory.stock.service import hold
from deployments.inventory.stock.shapes import reservation_out
from deployments.kit.lean import lean_route
from deployments.kit.plain import Plain, plain_out
from gateway.access import require, tenant_of

_out = partial(
    reservation_out,
    out=plain_out(ReservationOut),
    line=plain_out(HeldLineOut),
    units=shown_steps,
)


def _has_one_item(body: NewReservation) -> bool:
    return body.product_id is not None and body.quantity is not None


def _reservation(principal: Principal, held: Hold) -> Any:
    return _out(tenant_of(principal), held)


reserve = lean_route(
    "/reserve",
    require(STAFF),
    Plain(
        NewReservation,
        "product_id",
        "quantity",
        "ttl_seconds",
        "reference",
        holds=_has_one_item,
    ).read,
    hold,
    _reservation,
)
