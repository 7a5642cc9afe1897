"""The last line of defence: what the database itself refuses of the till."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from core.paging import Span
from core.settings import Settings
from store.kit.engine import Database, Scope
from store.pos.reading import SaleFilters, parked, sales


async def _refused(settings: Settings, statement: str, *arguments: Any) -> str:
    connection = await asyncpg.connect(settings.host_database_url)
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as error:
            await connection.execute(statement, *arguments)
    finally:
        await connection.close()
    return str(error.value.constraint_name)  # type: ignore[attr-defined]


_CARD = """
INSERT INTO gift_cards (id, tenant_id, currency, last_four, initial_minor, balance_minor, disabled,
  sequence, updated_at) VALUES ($1, $1, 'EUR', 'WXYZ', 100, $2, false, 1, now())"""

_RECEIPT = """
INSERT INTO pos_receipts (register_id, number, tenant_id, kind, subject_id, shift_id, given_at)
VALUES ($1, 1, $1, 'sale', $2, $1, now())"""

_SHIFT = """
INSERT INTO pos_shifts (id, tenant_id, register_id, location_id, number, opened_by, opened_at,
  opening_float_minor, currency, expected_minor, totals)
VALUES ($1, $2, $2, $2, $3, 'ann', now(), 0, 'EUR', $4, '{}')"""

_SALE = """
INSERT INTO pos_sales (id, tenant_id, location_id, register_id, shift_id, receipt_number, status,
  currency, total_minor, tax_minor, discount_minor, tips_minor, tendered_minor, change_minor,
  refunded_minor, prices_include_tax, created_by, created_at, sequence)
VALUES ($1, $2, $2, $2, $2, 1, 'completed', 'EUR', 100, 0, 0, 0, $3, 0, $4, true, 'ann',
  now(), 1)"""

_LINE = """
INSERT INTO pos_sale_lines (sale_id, number, tenant_id, item_id, product_id, name, sku, quantity,
  unit_price_minor, discount_minor, tax_rate_ppm, tax_minor, total_minor, parts, returned)
VALUES ($1, 0, $1, $1, $1, 'Tea', 'T', 2, 50, 0, 0, 0, 100, '[]', $2)"""


async def _run(settings: Settings, statement: str, *arguments: Any) -> None:
    connection = await asyncpg.connect(settings.host_database_url)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


async def test_no_gift_card_below_zero(embedded: Settings) -> None:
    assert await _refused(embedded, _CARD, uuid4(), -1) == "ck_gift_cards_balance_not_negative"


async def test_no_receipt_number_twice(embedded: Settings) -> None:
    register = uuid4()
    await _run(embedded, _RECEIPT, register, uuid4())
    assert await _refused(embedded, _RECEIPT, register, uuid4()) == "pk_pos_receipts"


async def test_one_open_shift_and_no_drawer_below_zero(embedded: Settings) -> None:
    register = uuid4()
    await _run(embedded, _SHIFT, uuid4(), register, 1, 0)
    assert await _refused(embedded, _SHIFT, uuid4(), register, 2, 0) == "uq_pos_shifts_open"
    drawer = await _refused(embedded, _SHIFT, uuid4(), uuid4(), 1, -1)
    assert drawer == "ck_pos_shifts_drawer_not_negative"


async def test_no_sale_unpaid_or_refunded_twice(embedded: Settings) -> None:
    unpaid = await _refused(embedded, _SALE, uuid4(), uuid4(), 99, 0)
    assert unpaid == "ck_pos_sales_paid"
    twice = await _refused(embedded, _SALE, uuid4(), uuid4(), 100, 101)
    assert twice == "ck_pos_sales_refunded_within_paid"
    more = await _refused(embedded, _LINE, uuid4(), 3)
    assert more == "ck_pos_sale_lines_returned_within_sold"


async def test_a_business_sees_its_own(embedded: Settings) -> None:
    mine, theirs = uuid4(), uuid4()
    for tenant in (mine, theirs):
        await _run(embedded, _SALE, uuid4(), tenant, 100, 0)
    db = Database(embedded.app_database_url)
    try:
        assert await _seen(db, mine) == {mine}
        assert await _seen(db, None) == set()
    finally:
        await db.close()


async def _seen(db: Database, tenant: UUID | None) -> set[UUID]:
    async with db.transaction(Scope(tenant)) as tx:
        found = await sales(tx, SaleFilters(), Span(1, 100))
        assert (await parked(tx, None, Span(1, 100))).total == 0
    assert found.total == len(found.items)
    return {row["tenant_id"] for row in found.items}
