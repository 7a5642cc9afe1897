"""`holdfast doctor`: every finding, made wrong for real in a database of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.operator.doctor import examine, exit_status
from cli.operator.finding import Finding
from core.ids import uuid7
from core.settings import Settings, get_settings
from store.doctor import health
from store.kit import servers
from tests.runtime.conftest import urls_of

NAME = "doctor"


@pytest.fixture(scope="module")
def settings(embedded: Settings) -> Iterator[Settings]:
    """Of a copy with a database of its own, whose keeper and host are (said to be) at work."""

    async def administer(statement: str) -> None:
        admin = await asyncpg.connect(embedded.owner_database_url)
        await admin.execute(statement)
        await admin.close()

    asyncio.run(administer(f"CREATE DATABASE {NAME}"))
    url = urls_of(embedded, NAME).owner
    redis_url = embedded.effective_redis_url
    changes = {"home": embedded.home, "database_url": url, "redis_url": redis_url}
    own = Settings.model_validate(changes)
    servers.prepare(url, own)
    asyncio.run(_set_to_work(url))
    yield own
    asyncio.run(administer("ALTER ROLE holdfast_app CONNECTION LIMIT -1"))
    asyncio.run(administer(f"DROP DATABASE {NAME} WITH (FORCE)"))


async def _set_to_work(url: str) -> None:
    owner = await asyncpg.connect(url)
    host = uuid7()
    await owner.execute("UPDATE keeper_beat SET seen_at = 'infinity'")
    await owner.execute(
        "INSERT INTO shard_hosts (id, name, machine, pid, expires_at)"
        " VALUES ($1, 'h0', 'm', 1, 'infinity')",
        host,
    )
    await owner.execute(
        "INSERT INTO shard_leases (family, shard, host_id)"
        " SELECT 'commerce', n, $1 FROM generate_series(0, 7) AS n",
        host,
    )
    await owner.close()


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(settings.owner_database_url)
    yield connection
    await connection.close()


async def wrong(settings: Settings, *, deep: bool = False) -> list[Finding]:
    found = await examine(settings, deep=deep)
    assert not [finding for finding in found if finding.verdict == "unknown"], found
    return [finding for finding in found if finding.verdict == "wrong"]


@asynccontextmanager
async def made(owner: asyncpg.Connection, change: str, undo: str) -> AsyncIterator[None]:
    for statement in change.split(";"):
        await owner.execute(statement)
    try:
        yield
    finally:
        for statement in undo.split(";"):
            await owner.execute(statement)


async def test_a_sound_copy_is_well(settings: Settings) -> None:
    for deep in (False, True):
        found = await examine(settings, deep=deep)
        assert {finding.verdict for finding in found} == {"well"}, found
        subjects = {finding.subject for finding in found}
        assert {"Postgres", "Redis", "leases", "keeper", "stock", "drawers"} <= subjects


_ITEM = "'00000000-0000-7000-8000-000000000001'"
_LEVEL = (
    "INSERT INTO stock_levels (product_id, location_id, tenant_id, on_hand, reserved, incoming,"
    f" low_stock_threshold, low, floor, sequence, updated_at) VALUES ({_ITEM}, {_ITEM}, {_ITEM},"
    " 5, 0, 0, 0, false, 0, 1, now())"
)
_CARD = (
    "INSERT INTO gift_cards (id, tenant_id, currency, last_four, initial_minor, balance_minor,"
    f" disabled, sequence, updated_at) VALUES ({_ITEM}, {_ITEM}, 'EUR', '1234', 500, 500, false,"
    " 1, now())"
)
_SHIFT = (
    "INSERT INTO pos_shifts (id, tenant_id, register_id, location_id, number, opened_by, opened_at,"
    f" opening_float_minor, currency, expected_minor, totals) VALUES ({_ITEM}, {_ITEM}, {_ITEM},"
    f" {_ITEM}, 1, 'a', now(), 1000, 'EUR', 900, '{{}}')"
)
_HOLD = (
    "INSERT INTO reservations (id, tenant_id, shard, location_id, status, product_ids, quantities,"
    f" created_by, created_at, expires_at, sequence) VALUES ({_ITEM}, {_ITEM}, 3, {_ITEM}, 'open',"
    f" ARRAY[{_ITEM}::uuid], '{{1}}', 'a', now(), now() - interval '1 hour', 1)"
)


@pytest.mark.parametrize(
    ("subject", "told", "change", "undo"),
    [
        (
            "hosts' rights",
            "may not make the function",
            f"REVOKE TEMPORARY ON DATABASE {NAME} FROM PUBLIC",
            f"GRANT TEMPORARY ON DATABASE {NAME} TO PUBLIC",
        ),
        (
            "keeper",
            "nobody takes over",
            "UPDATE keeper_beat SET seen_at = now() - interval '1 minute'",
            "UPDATE keeper_beat SET seen_at = 'infinity'",
        ),
        (
            "keeper",
            "It was never at work",
            "UPDATE keeper_beat SET seen_at = '-infinity'",
            "UPDATE keeper_beat SET seen_at = 'infinity'",
        ),
        (
            "leases",
            "8 of 8 shards have no owner (h0 has 8 shards, its lease is over)",
            "UPDATE shard_hosts SET expires_at = now()",
            "UPDATE shard_hosts SET expires_at = 'infinity'",
        ),
        (
            "leases",
            "1 of 8 shards have no owner",
            "UPDATE shard_leases SET host_id = NULL WHERE shard = 3",
            "UPDATE shard_leases SET host_id = (SELECT id FROM shard_hosts)",
        ),
        ("stock", "it says 5, 0, 0, its ledger 0, 0, 0", _LEVEL, "DELETE FROM stock_levels"),
        ("gift cards", "it says 500, its ledger 0", _CARD, "DELETE FROM gift_cards"),
        ("drawers", "it says 900, its ledger 1000", _SHIFT, "DELETE FROM pos_shifts"),
        ("holds", "1 open holds are overdue", _HOLD, "DELETE FROM reservations"),
        (
            "synchronous_commit",
            "set lower for holdfast_app",
            "ALTER ROLE holdfast_app SET synchronous_commit = off",
            "ALTER ROLE holdfast_app RESET synchronous_commit",
        ),
        (
            "connections",
            "Replicas are not limited",
            "ALTER ROLE holdfast_app CONNECTION LIMIT -1",
            "ALTER ROLE holdfast_app CONNECTION LIMIT 150",
        ),
    ],
)
async def test_what_is_wrong_in_the_data_is_told(
    settings: Settings,
    owner: asyncpg.Connection,
    subject: str,
    told: str,
    change: str,
    undo: str,
) -> None:
    async with made(owner, change, undo):
        (found,) = await wrong(settings)
        assert (found.subject, exit_status([found])) == (subject, 1)
        assert told in found.said
        assert found.advice
    assert await wrong(settings) == []


@pytest.mark.parametrize("table", ["stock_levels", "gift_cards", "pos_shifts"])
async def test_deep_looks_at_every_line(
    settings: Settings, owner: asyncpg.Connection, table: str
) -> None:
    """A ledger whose last line agrees, but whose lines do not add up to it; a closed shift."""
    change = {
        "stock_levels": f"{_LEVEL}; INSERT INTO stock_movements (product_id, location_id, sequence,"
        " tenant_id, kind, on_hand_delta, reserved_delta, incoming_delta, on_hand_after,"
        " reserved_after, incoming_after, command_id, created_by, occurred_at, recorded_at)"
        f" VALUES ({_ITEM}, {_ITEM}, 1, {_ITEM}, 'received', 4, 0, 0, 5, 0, 0, {_ITEM}, 'a',"
        " now(), now())",
        "gift_cards": f"{_CARD}; INSERT INTO gift_card_movements (card_id, sequence, tenant_id,"
        " kind, delta_minor, balance_minor, source_id, occurred_at) VALUES"
        f" ({_ITEM}, 1, {_ITEM}, 'issued', 400, 500, {_ITEM}, now())",
        "pos_shifts": f"{_SHIFT}; UPDATE pos_shifts SET closed_at = now(), counted_minor = 900",
    }[table]
    undo = f"DELETE FROM {table}; DELETE FROM stock_movements; DELETE FROM gift_card_movements"
    async with made(owner, change, undo):
        assert await wrong(settings) == []
        (found,) = await wrong(settings, deep=True)
        assert found.subject in ("stock", "gift cards", "drawers")


_EVENT = (
    "INSERT INTO outbox (event_id, tenant_id, type, subject, time, data)"
    f" SELECT {_ITEM}, {_ITEM}, 't', 's', now() - interval '%s', '{{}}' FROM generate_series(1, 3)"
)
_GIVEN_UP = (
    "INSERT INTO consumer_backlog (consumer, id, tenant_id, event_id, type, subject, time, data,"
    f" attempts, problem, set_aside_at) VALUES ('mails', 1, {_ITEM}, {_ITEM}, 't', 's', now(),"
    " '{}', 8, 'no such host', now())"
)
_FORGET = "DELETE FROM outbox; DELETE FROM consumers; DELETE FROM consumer_backlog"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_EVENT % "32 days", "is 32 days old"),
        (
            f"{_EVENT % '1 hour'}; INSERT INTO consumers VALUES ('mails', 0)",
            "2 or more events wait for it, the oldest for 36",
        ),
        (f"INSERT INTO consumers VALUES ('mails', 0); {_GIVEN_UP}", "It gave up 1 events"),
        (
            "INSERT INTO consumers (name, position, missed_at) VALUES ('mails', 0, now())",
            "events were deleted that it had not read",
        ),
    ],
)
async def test_events_that_nobody_sees_to_are_told(
    settings: Settings,
    owner: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    said: str,
) -> None:
    monkeypatch.setattr(health, "MAX_COUNTED", 2)
    async with made(owner, change, _FORGET):
        (found,) = await wrong(settings)
        assert said in found.said


async def test_a_consumer_that_keeps_up_is_well(
    settings: Settings, owner: asyncpg.Connection
) -> None:
    begun = "INSERT INTO consumers SELECT 'mails', max(id) FROM outbox"
    async with made(owner, f"{_EVENT % '1 hour'}; {begun}", _FORGET):
        assert await wrong(settings) == []


async def test_a_transaction_that_somebody_forgot_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_LONG_OPEN_SECONDS", 0)
    url = settings.owner_database_url
    forgetful = await asyncpg.connect(url, server_settings={"application_name": "psql of Ada"})
    async with forgetful.transaction():
        await forgetful.execute("SELECT 1")
        (found,) = await wrong(settings)
        assert f"psql of Ada (pid {forgetful.get_server_pid()})" in found.said
    await forgetful.close()


async def test_who_writes_in_another_database_of_the_server_is_told(
    settings: Settings, embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transactions have their numbers from one row for all databases, and consumers go by them."""
    monkeypatch.setattr(health, "_LONG_OPEN_SECONDS", 0)
    options = {"application_name": "psql of Ada"}
    elsewhere = await asyncpg.connect(embedded.owner_database_url, server_settings=options)
    async with elsewhere.transaction():
        await elsewhere.execute("SELECT 1")
        assert await wrong(settings) == [], "who reads there is in nobody's way here"
        await elsewhere.execute("SELECT pg_current_xact_id()")
        (found,) = await wrong(settings)
        assert f"psql of Ada (pid {elsewhere.get_server_pid()})" in found.said
    await elsewhere.close()


async def test_a_budget_that_is_too_small_is_told(settings: Settings) -> None:
    (found,) = await wrong(settings.model_copy(update={"replicas": 64}))
    assert "Set max_connections to" in found.said


# --- the command ---------------------------------------------------------------------------------


def test_the_command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", str(settings.database_url))
    monkeypatch.setenv("REDIS_URL", str(settings.redis_url))
    get_settings.cache_clear()
    try:
        told = CliRunner().invoke(app, ["doctor", "--json"])
        assert (told.exit_code, json.loads(told.output)["status"]) == (0, 0), told.output
        asyncio.run(_execute(settings, "UPDATE keeper_beat SET seen_at = '-infinity'"))
        told = CliRunner().invoke(app, ["doctor"])
        assert told.exit_code == 1
        assert "wrong   keeper: It was never at work" in told.output
    finally:
        asyncio.run(_execute(settings, "UPDATE keeper_beat SET seen_at = 'infinity'"))
        get_settings.cache_clear()


async def _execute(settings: Settings, statement: str) -> None:
    connection = await asyncpg.connect(settings.owner_database_url)
    await connection.execute(statement)
    await connection.close()
