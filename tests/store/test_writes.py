"""What a host writes is what is there afterwards, whatever the values, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, Table, Text, Uuid, types
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from actors.families import FAMILIES
from core.settings import Settings
from store.hosts.batches import STALE, Procedure, Write
from store.hosts.command_log import LOG
from store.hosts.writes import insert, update, upsert
from store.kit.migrate import all_tables

TABLES = all_tables().tables
WRITES: Mapping[str, Write] = FAMILIES["commerce"].loader.writes | LOG  # type: ignore[attr-defined]
# What a row that is there keeps when it is written again, besides its key and its tenant.
KEPT: Mapping[str, set[str]] = {
    "stock_items": set(),
    "stock_levels moved": set(),
    "reservations changed": {"shard", "location_id", "reference", "created_by", "created_at"},
    "stock_transfers": {
        *("from_location_id", "to_location_id", "product_ids", "quantities"),
        *("reference", "created_by", "created_at"),
    },
    "purchase_orders": {"created_by", "created_at"},
    "pos_registers": set(),
    "pos_shifts": {
        *("register_id", "location_id", "number", "opened_by", "opened_at"),
        *("opening_float_minor", "currency", "cash_step_minor"),
    },
    "pos_sales returned": set(),
    "pos_sale_lines returned": set(),
    "pos_payments refunded": set(),
    "gift_cards": {"currency", "last_four", "initial_minor", "expires_at"},
}
INSERTS = sorted(WRITES.keys() - {name for name in KEPT if " " in name})
GUARDED = [
    (name, guard)
    for name in KEPT
    for guard in ("sequence", "tenant_id")
    if guard in WRITES[name].columns
]
ODD = '\\ "NULL" {a,b}\n\t$1 \x01é😀'
LAST_MS = 253_402_300_799_999  # of the year 9999

Row = dict[str, Any]


def value(column: Column[Any], which: str) -> Any:
    """A value at the upper or the lower end of what a column holds, or null where it may be."""
    if which == "null" and column.nullable:
        return None
    upper = which == "upper"
    match column.type:
        case types.Uuid():
            return uuid4()
        case types.Boolean():
            return upper
        case types.BigInteger():
            return 2**63 - 1 if upper else -(2**63)
        case types.SmallInteger():
            return 2**15 - 1 if upper else -(2**15)
        case types.Integer():
            return 2**31 - 1 if upper else -(2**31)
        case types.LargeBinary():
            return bytes(range(256)) if upper else b""
        case JSONB():
            return json.dumps({"of": ODD, "to": [2**63, -1.5, None, True]} if upper else [])
        case types.DateTime():
            return LAST_MS if upper else 1
        case ARRAY(item_type=item):
            return [value(Column("item", item), end) for end in ("upper", "lower")] * upper
        case types.CHAR():
            return "EUR" if upper else "USD"
        case types.String():
            return ODD if upper else ""
    raise AssertionError(f"say what {column} may hold")


def row_of(name: str, which: str) -> Row:
    table = table_of(name)
    return {column: value(table.c[column], which) for column in WRITES[name].columns}


def table_of(name: str) -> Table:
    """Names say what else they do to a table behind its own: "pos_sales returned"."""
    return TABLES[name.split()[0]]


def key_of(name: str) -> list[str]:
    return table_of(name).primary_key.columns.keys()


class Copy:
    """An empty copy of the table that `name` writes, without checks and references."""

    def __init__(self, connection: asyncpg.Connection, name: str) -> None:
        self._connection, self._table = connection, table_of(name)
        self._writes = {statement: WRITES[statement] for statement in (self._table.name, name)}
        self._procedure = Procedure(0, [self._writes])

    async def make(self) -> None:
        name = self._table.name
        await self._connection.execute(
            f"CREATE TEMPORARY TABLE {name} (LIKE public.{name} INCLUDING DEFAULTS"
            " INCLUDING GENERATED INCLUDING IDENTITY INCLUDING INDEXES)"
        )
        await self._connection.execute(self._procedure.definition)

    async def write(self, name: str, rows: Sequence[Row]) -> None:
        """As a host commits them. Raises PostgresError."""
        batch = {name: [tuple(row.values()) for row in rows]}
        arguments = self._procedure.arguments([batch], [])
        await self._connection.execute(self._procedure.call, [], [], [], None, *arguments)

    async def read(self) -> list[Row]:
        """All that the database does not compute, as it travels, JSON as what it says."""
        stored = [column for column in self._table.c if column.computed is None]
        shown = [
            f"(extract(epoch FROM {column.name}) * 1000)::bigint AS {column.name}"
            if isinstance(column.type, types.DateTime)
            else column.name
            for column in stored
        ]
        query = f"SELECT {', '.join(shown)} FROM {self._table.name}"
        return [said(self._table, dict(row)) for row in await self._connection.fetch(query)]


def said(table: Table, row: Row) -> Row:
    of_json = [name for name in row if isinstance(table.c[name].type, JSONB)]
    return row | {name: row[name] and json.loads(row[name]) for name in of_json}


@pytest.fixture
async def copy(name: str, embedded: Settings) -> AsyncIterator[Copy]:
    connection = await asyncpg.connect(embedded.owner_database_url)
    transaction = connection.transaction()
    await transaction.start()
    made = Copy(connection, name)
    await made.make()
    yield made
    await transaction.rollback()
    await connection.close()


@pytest.mark.parametrize("name", INSERTS)
async def test_what_is_written_is_what_is_read(name: str, copy: Copy) -> None:
    rows = [row_of(name, which) for which in ("upper", "lower", "null")]
    await copy.write(name, rows)
    read = [{column: row[column] for column in WRITES[name].columns} for row in await copy.read()]
    assert read == [said(table_of(name), row) for row in rows]


@pytest.mark.parametrize("name", KEPT)
async def test_of_what_is_there_all_is_written_but_what_it_keeps(name: str, copy: Copy) -> None:
    table = table_of(name)
    first = [row_of(table.name, which) for which in ("lower", "upper", "lower")]
    later = [row_of(name, which) for which in ("upper", "lower", "null")]
    found_by = {*key_of(name), "tenant_id"} & set(WRITES[name].columns)
    for old, new in zip(first, later, strict=True):
        if "sequence" in new:
            old["sequence"], new["sequence"] = 2**63 - 2, 2**63 - 1
        new |= {column: old[column] for column in found_by}
    await copy.write(table.name, first)
    there = {tuple(row[column] for column in key_of(name)): row for row in await copy.read()}
    await copy.write(name, later)
    for row in await copy.read():
        key = tuple(row[column] for column in key_of(name))
        new = next(new for new in later if tuple(new[column] for column in key_of(name)) == key)
        changed = {column: new[column] for column in new.keys() - KEPT[name]}
        assert row == there[key] | said(table, changed)


@pytest.mark.parametrize(("name", "guard"), GUARDED)
async def test_nothing_is_written_over_what_was_not_read(name: str, guard: str, copy: Copy) -> None:
    first, later = row_of(table_of(name).name, "upper"), row_of(name, "upper")
    later |= {column: first[column] for column in (*key_of(name), "tenant_id")}
    if "sequence" in later:
        first["sequence"], later["sequence"] = 8, 8 if guard == "sequence" else 9
    if guard == "tenant_id":
        later["tenant_id"] = uuid4()
    await copy.write(table_of(name).name, [first])
    with pytest.raises(asyncpg.PostgresError) as refused:
        await copy.write(name, [later])
    assert refused.value.sqlstate == STALE


# --- what cannot be meant ------------------------------------------------------------------------

THINGS = Table(
    "things",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("count", BigInteger, nullable=False, server_default="0"),
    Column("size", Integer),
    Column("is_big", Boolean),
)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (lambda: insert(THINGS, ("id", "tenant_id", "nmae")), "has no {'nmae'}"),
        (lambda: insert(THINGS, without=("nmae",)), "has no {'nmae'}"),
        (lambda: insert(THINGS, ("id", "tenant_id")), "nothing fills name"),
        (lambda: upsert(THINGS, keep=("nmae",)), "{'nmae'} would not be written"),
        (lambda: update(THINGS, ("id", "size"), keep=("count",)), "{'count'} would not be"),
    ],
)
def test_what_a_table_does_not_have_is_found_out_when_it_is_asked_for(
    make: Any, wrong: str
) -> None:
    with pytest.raises(ValueError, match=wrong):
        make()


def test_what_nobody_knows_how_to_send_is_not_written() -> None:
    odd = Table("odd", MetaData(), Column("id", types.Float, primary_key=True))
    with pytest.raises(ValueError, match="nobody knows how"):
        insert(odd)
