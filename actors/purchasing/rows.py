"""Rows of purchasing as the store writes and reads them: the fields are the columns, in their
order. Times are in ms since the epoch, UTC."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID


class PurchaseRow(NamedTuple):
    """`lines` are JSON."""

    id: UUID
    tenant_id: UUID
    supplier_id: UUID
    location_id: UUID
    currency: str
    reference: str | None
    expected_at: int | None
    status: str
    lines: str
    item_ids: list[UUID]
    created_by: str
    created_at: int
    ordered_at: int | None
    updated_at: int
    sequence: int


WRITTEN: dict[str, type] = {"purchase_orders": PurchaseRow}
