"""Levels and holds: new ones are inserted, others changed, and neither over what was not read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from actors.families import FAMILIES
from core.ids import uuid7
from core.settings import Settings
from store.hosts.journal import Cause, HostStore, Rejected
from store.hosts.leases import Incarnation

_LOADER = FAMILIES["commerce"].loader
_MS = 1_700_000_000_000
TENANT, PRODUCT, HOLD = uuid7(), uuid7(), uuid7()


def level(on_hand: int, sequence: int, tenant_id: UUID = TENANT) -> tuple[Any, ...]:
    return (PRODUCT, TENANT, tenant_id, on_hand, 0, 0, 5, False, 0, None, sequence, _MS)


def hold(status: str, sequence: int, tenant_id: UUID = TENANT) -> tuple[Any, ...]:
    lines = [PRODUCT], [sequence]
    return (HOLD, tenant_id, 0, TENANT, status, *lines, None, "x", _MS, _MS, sequence)


@pytest.fixture
async def host(embedded: Settings) -> AsyncIterator[HostStore]:
    store = HostStore(embedded.host_database_url, Incarnation(uuid7(), "h", "m", 1))
    yield store
    await store.close()
    owner = await asyncpg.connect(embedded.owner_database_url)
    await owner.execute("DELETE FROM stock_levels WHERE product_id = $1", PRODUCT)
    await owner.execute("DELETE FROM reservations WHERE id = $1", HOLD)
    await owner.close()


async def write(host: HostStore, rows: Mapping[str, tuple[Any, ...]]) -> None:
    await host.commit({}, [(_LOADER, {name: [row] for name, row in rows.items()})], [])


async def test_what_is_there_is_changed(host: HostStore, embedded: Settings) -> None:
    await write(host, {"stock_levels": level(10, 1), "reservations": hold("open", 1)})
    changed = {"stock_levels moved": level(9, 3), "reservations changed": hold("expired", 2)}
    await write(host, changed)
    owner = await asyncpg.connect(embedded.owner_database_url)
    read = "SELECT on_hand, sequence FROM stock_levels WHERE product_id = $1"
    assert tuple(await owner.fetchrow(read, PRODUCT)) == (9, 3)
    read = "SELECT status, quantities, sequence FROM reservations WHERE id = $1"
    assert tuple(await owner.fetchrow(read, HOLD)) == ("expired", [2], 2)
    await owner.close()


@pytest.mark.parametrize(
    ("name", "row", "cause"),
    [
        ("stock_levels", level(8, 9), Cause.STALE),
        ("stock_levels moved", level(8, 2), Cause.STALE),
        ("stock_levels moved", level(8, 9, uuid7()), Cause.STALE),
        ("reservations", hold("open", 9), Cause.DATA),
        ("reservations changed", hold("open", 2), Cause.STALE),
        ("reservations changed", hold("open", 9, uuid7()), Cause.STALE),
    ],
)
async def test_nothing_is_written_over_what_was_not_read(
    host: HostStore, name: str, row: tuple[Any, ...], cause: Cause
) -> None:
    await write(host, {"stock_levels": level(10, 2), "reservations": hold("open", 2)})
    with pytest.raises(Rejected) as refused:
        await write(host, {name: row})
    assert refused.value.cause is cause


@pytest.mark.parametrize(
    "rows",
    [{"stock_levels moved": level(8, 2)}, {"reservations changed": hold("expired", 2)}],
)
async def test_what_is_not_there_is_not_changed(
    host: HostStore, rows: dict[str, tuple[Any, ...]]
) -> None:
    with pytest.raises(Rejected) as refused:
        await write(host, rows)
    assert refused.value.cause is Cause.STALE


async def test_quantities_are_wider_than_four_bytes(host: HostStore, embedded: Settings) -> None:
    """Levels, thresholds, holds and the lines of a sale and of its return, new and changed."""
    many, line = 2**40, uuid7()
    stock = (PRODUCT, TENANT, TENANT, many, many, 0, many, False, 0, None, 1, _MS)
    held = (HOLD, TENANT, 0, TENANT, "open", [PRODUCT], [many], None, "x", _MS, _MS, 1)
    goods = (PRODUCT, "Tea", "TEA")
    sold = (line, 0, TENANT, PRODUCT, *goods, many, 1, 0, 0, 0, many, "[]", None, 3, "kg")
    back = (line, 0, TENANT, 0, *goods, many, True, 0, 0, 0, many, None, 3, "kg")
    await write(host, {"stock_levels": stock, "reservations": held})
    await write(host, {"pos_sale_lines": sold, "pos_return_lines": back})
    await write(host, {"pos_sale_lines returned": (line, 0, many)})
    owner = await asyncpg.connect(embedded.owner_database_url)
    for query in (
        "SELECT on_hand, low_stock_threshold FROM stock_levels WHERE product_id = $1",
        "SELECT quantities[1] FROM reservations WHERE product_ids = ARRAY[$1::uuid]",
        "SELECT quantity, returned FROM pos_sale_lines WHERE item_id = $1",
        "SELECT quantity FROM pos_return_lines WHERE item_id = $1",
    ):
        assert set(await owner.fetchrow(query, PRODUCT)) == {many}
    for table in ("pos_sale_lines", "pos_return_lines"):
        await owner.execute(f"DELETE FROM {table} WHERE item_id = $1", PRODUCT)
    await owner.close()
