"""A batch is committed in one round trip: what was meant arrives, or nothing does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ids import uuid7
from core.settings import Settings
from store.hosts import connections
from store.hosts.aggregates import AggregateLoader, Tables
from store.hosts.batches import Procedure, Write, array_of_scalars
from store.hosts.command_log import Logged
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import AlreadyDecided, Cause, HostStore, Rejected
from store.hosts.leases import Incarnation

ODD_TEXT = [
    *("", "NULL", "null", " ", "{}", '"', "\\", '\\"', "\\n", "\n", "\t\b\f\r", "\x01\x7f\x1f"),
    *("a,b", "{a}", "'", "$1", "é", "😀", "\u2028", '{"a": "\\"b\\\\n"}', "\\\\", "\\u0041"),
]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
COLUMNS = {
    "text": TEXT | st.sampled_from(ODD_TEXT),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bool": st.booleans(),
    "uuid": st.uuids(),
}


@pytest.fixture
async def connection(embedded: Settings) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(embedded.owner_database_url)
    yield made
    await made.close()


@pytest.mark.parametrize("kind", COLUMNS)
async def test_a_column_arrives_as_it_is(kind: str, connection: asyncpg.Connection) -> None:
    columns: list[list[Any]] = []

    @given(st.lists(st.none() | COLUMNS[kind], min_size=1, max_size=8))
    @settings(max_examples=200, database=None)
    def draw(column: list[Any]) -> None:
        columns.append(column)

    draw()
    read = f"SELECT ($1::text[])[1]::{kind}[]"
    for column in columns:
        assert await connection.fetchval(read, [array_of_scalars(column)]) == column


def test_what_cannot_travel_is_found_out_before_anything_runs() -> None:
    write = Write("INSERT INTO t SELECT * FROM unnest($1::float8[])")
    with pytest.raises(ValueError, match="float8"):
        Procedure(0, [{"t": write}])


# --- the host's store ----------------------------------------------------------------------------


THINGS: Any = AggregateLoader(
    [
        Tables(
            {},
            {
                "things": Write(
                    "INSERT INTO things AS t"
                    " SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[])"
                    " ON CONFLICT (id) DO UPDATE"
                    " SET name = excluded.name, found_rows = excluded.found_rows"
                    " WHERE t.found_rows < excluded.found_rows"
                )
            },
            {},
        )
    ]
)


@pytest.fixture
async def host(embedded: Settings, connection: asyncpg.Connection) -> AsyncIterator[HostStore]:
    # A column is called as a variable of the function is.
    await connection.execute(
        "CREATE TABLE things (id uuid PRIMARY KEY, name text NOT NULL, found_rows bigint);"
        "GRANT SELECT, INSERT, UPDATE ON things TO holdfast_host"
    )
    store = HostStore(embedded.host_database_url, Incarnation(uuid7(), "h", "m", 1))
    yield store
    await store.close()
    await connection.execute("DROP TABLE things")


def line(command_id: UUID | None = None, reply: bytes = b"\x00\\\xff") -> Logged:
    return Logged(command_id or uuid7(), uuid7(), b"\x00\xff", reply)


async def test_rows_and_log_are_written_together(
    host: HostStore, connection: asyncpg.Connection
) -> None:
    rows = [(uuid7(), name, 1) for name in ODD_TEXT]
    lines = [line(), line(reply=b"")]
    await host.commit({}, [(THINGS, {"things": rows})], lines)
    read = await connection.fetch("SELECT * FROM things ORDER BY id")
    assert [tuple(row) for row in read] == rows
    assert await host.known([logged.command_id for logged in lines]) == {
        logged.command_id: logged for logged in lines
    }


@pytest.mark.parametrize(
    ("cause", "name", "number"),
    [
        (Cause.STALE, "older", 3),
        (Cause.BROKEN, None, 9),
        (Cause.DATA, "nul\x00", 9),
        (Cause.DATA, "half\ud800", 9),
        (Cause.BROKEN, "too much", 2**63),
        (Cause.BROKEN, object(), 9),
    ],
)
async def test_of_what_is_refused_nothing_is_written(
    host: HostStore, connection: asyncpg.Connection, cause: Cause, name: Any, number: int
) -> None:
    there, other, said = uuid7(), uuid7(), line()
    await host.commit({}, [(THINGS, {"things": [(there, "first", 3)]})], [])
    held = host.connections[0].connection
    with pytest.raises(Rejected) as refused:
        batch = [(other, "fine", 9), (there, name, number)]
        await host.commit({}, [(THINGS, {"things": batch})], [said])
    assert refused.value.cause is cause
    rows = await connection.fetch("SELECT id, name, found_rows FROM things")
    assert [tuple(row) for row in rows] == [(there, "first", 3)]
    assert not await host.known([said.command_id])
    assert host.connections[0].connection is held, "it is not to blame"
    await host.commit({}, [(THINGS, {"things": [(there, "second", 4)]})], [said])


async def test_what_was_decided_before_stops_a_commit_of_the_unsure(
    host: HostStore, connection: asyncpg.Connection
) -> None:
    """On whatever day of the week that was; tomorrow's, too, if the server's clock was set back."""
    today = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    days = (-8, -7, 0, 1)
    lines = {day: line() for day in days}
    await host.commit({}, [], list(lines.values()))
    for day in days:
        at = today + timedelta(days=day)
        await connection.execute("SELECT make_command_log_day($1)", at)
        moved = "UPDATE command_log SET created_on = $1 WHERE id = $2"
        await connection.execute(moved, at, lines[day].command_id)
    new, row = line(), (uuid7(), "new", 1)
    unsure = [new.command_id, *(logged.command_id for logged in lines.values())]
    with pytest.raises(AlreadyDecided) as known:
        await host.commit({}, [(THINGS, {"things": [row]})], [new], unsure)
    assert known.value.command_ids == {lines[day].command_id for day in days[1:]}
    assert not await connection.fetch("SELECT * FROM things")
    await host.commit({}, [(THINGS, {"things": [row]})], [new], [new.command_id])
    assert lines[-8].command_id not in await host.known(unsure)


async def test_rows_of_a_table_that_nobody_knows_are_a_fault_of_ours(host: HostStore) -> None:
    with pytest.raises(Rejected) as refused:
        await host.commit({}, [(THINGS, {"thongs": [(1,)]})], [])
    assert refused.value.cause is Cause.BROKEN


async def test_a_day_without_its_partition_is_no_fault_of_the_command(
    host: HostStore, connection: asyncpg.Connection
) -> None:
    today = await connection.fetchval(
        "SELECT 'command_log_p' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')"
    )
    bounds = await connection.fetchval(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = $1", today
    )
    await connection.execute(f"ALTER TABLE command_log DETACH PARTITION {today}")
    try:
        with pytest.raises(OutcomeUnknown):
            await host.commit({}, [], [line()])
    finally:
        await connection.execute(f"ALTER TABLE command_log ATTACH PARTITION {today} {bounds}")
    await host.commit({}, [], [line()])


# --- plans ---------------------------------------------------------------------------------------

FEW, MANY = 10, 20_000
RENAMED: Any = AggregateLoader(
    [
        Tables(
            {},
            {
                "things": Write(
                    "UPDATE things AS t SET name = r.name"
                    " FROM unnest($1::uuid[], $2::text[]) AS r(id, name) WHERE t.id = r.id"
                )
            },
            {},
        )
    ]
)


@pytest.mark.parametrize("kept", [True, False])
async def test_what_was_planned_while_a_table_was_empty_is_right_when_it_is_full(
    host: HostStore,
    connection: asyncpg.Connection,
    kept: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the command log of tomorrow is at midnight. In the end statistics would come to the
    rescue; until then many rows are looked at for each that is wanted."""
    if not kept:
        monkeypatch.setattr(connections, "PLANS", {})
    tomorrow = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date + 1")
    part = f"command_log_p{tomorrow:%Y%m%d}"
    for table in ("things", part):
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    await connection.execute(f"VACUUM ANALYZE {part}")  # as some do each night
    ids = [uuid7() for _ in range(FEW)]
    for _ in range(6):  # after five executions the server decides about a plan permanently
        await host.known(ids)
        await host.commit({}, [(RENAMED, {"things": []})], [])
        with pytest.raises(Rejected):
            await host.commit({}, [(RENAMED, {"things": [(ids[0], "c")]})], [])
    await connection.execute(
        "INSERT INTO things SELECT gen_random_uuid(), 'a', n FROM generate_series(1, $1) n", MANY
    )
    await connection.executemany(
        "INSERT INTO things VALUES ($1, 'b', 0)", [(thing_id,) for thing_id in ids]
    )
    await connection.execute(
        "INSERT INTO command_log (id, tenant_id, fingerprint, reply, created_on)"
        " SELECT gen_random_uuid(), gen_random_uuid(), '', '', $2 FROM generate_series(1, $1)",
        MANY,
        tomorrow,
    )
    before = await _looked_at(host, connection, part)
    await host.known(ids)
    known = await _looked_at(host, connection, part) - before
    await host.commit({}, [(RENAMED, {"things": [(thing_id, "c") for thing_id in ids]})], [])
    renamed = await _looked_at(host, connection, part) - before - known
    await connection.execute(f"DELETE FROM {part}")
    await connection.execute(f"ALTER TABLE {part} RESET (autovacuum_enabled)")
    print(f"kept {kept}: looked at {known} lines of the log, {renamed} rows")
    assert renamed < FEW * FEW
    assert (known < FEW * FEW) == kept


async def _looked_at(host: HostStore, connection: asyncpg.Connection, part: str) -> int:
    """How many rows and entries of indexes sessions of the host have looked at."""
    for used in host.connections:
        if used.connection is not None:
            await used.connection.execute("SELECT pg_stat_force_next_flush()")
    return int(
        await connection.fetchval(
            "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ($1, $2))"
            " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ($1, $2))",
            "things",
            part,
        )
    )
