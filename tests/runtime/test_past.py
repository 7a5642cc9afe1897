"""Promise 17: the past still loads. `tests/data/day.dump.xz` is a database that an earlier commit
made (076763b, of 2026-11-28, the last one before the migrations became a baseline), with a shop's
day in it: the demonstration's invoices and its flash sale at the tills, split tenders, gift cards,
returns, a bundle, card payments, purchase orders and transfers half done, a count, open holds,
people and their invitations, and what every other route leaves behind. It migrates, to the schema
that a new database has and with every row; everything in it loads, trade goes on, and the API shows
all of it."""

from __future__ import annotations

import asyncio
import json
import lzma
import random
import re
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from actors.families import decode_reply
from actors.messages import Refused
from actors.purchasing import model as p
from actors.runtime.wire import decode_logged
from actors.stock import model as m
from actors.stock import transfers as tr
from actors.till import messages as t
from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from deployments.capabilities import CAPABILITIES
from store.embedded.postgres import _BINARIES
from store.kit import migrate
from store.kit.migrate import all_tables
from tests.api.cases import ROUTES
from tests.api.harness import serving
from tests.promises import Tally
from tests.runtime import till_trade
from tests.runtime.audit import audit, contradictions
from tests.runtime.clients import Request, Shop
from tests.runtime.conftest import made_database, urls_of
from tests.runtime.kit import Urls, running
from tests.runtime.traffic import Traffic

DUMP = Path(__file__).parents[1] / "data" / "day.dump.xz"
BEFORE = "0032_composed_codes"
SECONDS = 2
# The log keeps a week, so that of the dump's day it may keep nothing any more.
_FORGOTTEN = "a caller's movement without its command in the log"


@pytest_asyncio.fixture
async def past(embedded: Settings) -> AsyncIterator[Urls]:
    """The database as it was, and not migrated yet."""
    async with made_database(embedded, "TEMPLATE template0") as urls:
        await asyncio.to_thread(_restore, lzma.decompress(DUMP.read_bytes()), urls.owner)
        yield urls


async def test_a_database_of_before_the_baseline_becomes_like_a_new_one(
    past: Urls, embedded: Settings, template: str, tally: Tally
) -> None:
    owner = await asyncpg.connect(past.owner)
    assert await owner.fetchval("SELECT version_num FROM alembic_version") == BEFORE
    columns = await _columns(owner)
    before = await _rows(owner, columns)
    await _all_or_nothing(past, owner)
    await asyncio.to_thread(migrate.upgrade, past.owner)
    assert await _rows(owner, columns) == before
    await owner.close()
    # A restored database says some things in other words than one that was never dumped.
    new = _dumped(urls_of(embedded, template).owner, "--format=custom", "--schema-only")
    async with made_database(embedded, "TEMPLATE template0") as restored:
        await asyncio.to_thread(_restore, new, restored.owner)
        assert _schema(past.owner) == _schema(restored.owner)
    tally(days=1, tables=len(before))


async def _all_or_nothing(past: Urls, owner: asyncpg.Connection) -> None:
    """Of the tables that are written anew one is in use: the others stay as they are, too."""
    narrow = "SELECT count(*) FROM information_schema.columns WHERE data_type = 'integer'"
    count = await owner.fetchval(narrow)
    backup = await asyncpg.connect(past.owner)
    async with backup.transaction():
        await backup.execute("LOCK TABLE pos_return_lines IN ACCESS SHARE MODE")
        with pytest.MonkeyPatch.context() as patch, pytest.raises(migrate.MigrationBlocked):
            patch.setattr(migrate, "_PATIENCE_SECONDS", 0.2)
            await asyncio.to_thread(migrate.upgrade, past.owner)
    await backup.close()
    assert await owner.fetchval(narrow) == count


async def _columns(owner: asyncpg.Connection) -> dict[str, str]:
    """By table the columns that it has now: a later migration may add some."""
    rows = await owner.fetch(
        "SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)"
        " FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1"
    )
    return {row[0]: row[1] for row in rows if row[0] in all_tables().tables}


async def _rows(
    owner: asyncpg.Connection, columns: Mapping[str, str]
) -> dict[str, tuple[int, str]]:
    """By table how many rows it has, and a digest of what they say in these columns."""
    found = {}
    for table, names in columns.items():
        row = await owner.fetchrow(
            "SELECT count(*), md5(string_agg(said, ';' ORDER BY said)) FROM"
            f' (SELECT ROW({names})::text COLLATE "C" AS said FROM {table}) AS rows'
        )
        found[table] = tuple(row)
    return found


def _schema(url: str) -> list[str]:
    """Everything that a database is but its rows. Days of the command log come and go."""
    dumped = _dumped(url, "--schema-only", "--restrict-key=same").decode()
    parts = re.split(r"\n(?=--\n-- Name: )", dumped)
    assert len(parts) > 300
    return [part for part in parts if not re.search(r"command_log_p\d{8}", part)]


def _dumped(url: str, *options: str) -> bytes:
    command = [_BINARIES / "pg_dump", *options, url]
    return subprocess.run(command, capture_output=True, check=True).stdout


def _restore(dumped: bytes, url: str) -> None:
    command = [_BINARIES / "pg_restore", "--exit-on-error", "-d", url]
    subprocess.run(command, input=dumped, check=True)


@dataclass
class Then:
    """What the database said of its shop before anything was migrated."""

    tenant: UUID
    levels: dict[tuple[UUID, UUID], tuple[int, int, int]]
    cards: dict[UUID, int]
    registers: dict[UUID, int]
    orders: dict[UUID, str]
    transfers: dict[UUID, str]
    holds: dict[UUID, str]
    sales: list[UUID]
    replies: list[bytes]

    @classmethod
    async def read(cls, urls: Urls) -> Then:
        owner = await asyncpg.connect(urls.owner)

        async def rows(query: str, *arguments: Any) -> list[Any]:
            return [tuple(row) for row in await owner.fetch(query, *arguments)]

        try:
            tenant = await owner.fetchval("SELECT tenant_id FROM pos_registers LIMIT 1")
            levels = await rows(
                "SELECT product_id, location_id, on_hand, reserved, incoming FROM stock_levels"
            )
            return cls(
                tenant,
                {row[:2]: row[2:] for row in levels},
                dict(await rows("SELECT id, balance_minor FROM gift_cards")),
                dict(
                    await rows(
                        "SELECT id, next_receipt_number FROM pos_registers WHERE NOT removed"
                    )
                ),
                dict(await rows("SELECT id, status FROM purchase_orders")),
                dict(await rows("SELECT id, status FROM stock_transfers")),
                dict(await rows("SELECT id, status FROM reservations")),
                [row[0] for row in await rows("SELECT id FROM pos_sales WHERE NOT tips_minor > 0")],
                [row[0] for row in await rows("SELECT reply FROM command_log")],
            )
        finally:
            await owner.close()


async def test_a_day_of_an_earlier_build_migrates_and_trade_goes_on(
    past: Urls, rng: random.Random, tally: Tally
) -> None:
    then = await Then.read(past)
    for reply in then.replies:
        _parse(reply)
    await asyncio.to_thread(migrate.upgrade, past.owner)
    await _as_if_of_today(past)
    assert not await contradictions(past)
    async with running(past, 2) as cluster:
        shop = Shop(cluster, then.tenant)
        await _as_they_were(shop, then)
        sold = await _trade(shop, then, rng)
        await cluster.settled()
        found = await audit(past, shop.log)
    found.contradictions.pop(_FORGOTTEN, None)
    assert found.clean, found
    assert not await till_trade.audit(past)
    print(f"{found}; {dict(sold)}")
    tally(days=1, replies=len(then.replies), levels=len(then.levels), audits=1)


async def _as_if_of_today(past: Urls) -> None:
    """The keeper would delete events that are older than a week."""
    owner = await asyncpg.connect(past.owner)
    await owner.execute("UPDATE outbox SET time = now()")
    await owner.close()


# What the API lists, and what it must be: every row that the tenant has of a table.
_LISTS = {
    "/api/products": "products WHERE deleted_at IS NULL",
    "/api/pos/sales": "pos_sales WHERE true",
    "/api/inventory/purchase-orders": "purchase_orders WHERE true",
    "/api/inventory/transfers": "stock_transfers WHERE true",
    "/api/inventory/suppliers": "suppliers WHERE deleted_at IS NULL",
}


async def test_the_api_shows_a_day_of_an_earlier_build(
    past: Urls, embedded: Settings, tally: Tally
) -> None:
    owner = await asyncpg.connect(past.owner)
    tenant = await owner.fetchval("SELECT tenant_id FROM pos_registers LIMIT 1")
    there = {
        path: await owner.fetchval(f"SELECT count(*) FROM {rows} AND tenant_id = $1", tenant)
        for path, rows in _LISTS.items()
    }
    sales = await owner.fetch(
        "SELECT id, total_minor + tips_minor FROM pos_sales WHERE tenant_id = $1", tenant
    )
    user = await owner.fetchval("SELECT user_id FROM memberships WHERE tenant_id = $1", tenant)
    await owner.close()
    await asyncio.to_thread(migrate.upgrade, past.owner)
    settings = embedded.model_copy(update={"database_url": past.owner, "rate_limit": "off"})
    async with serving(settings, CAPABILITIES) as served:
        token = served.resources.edge.tokens.issue(user, Role.OWNER, tenant, uuid7())
        served.http.headers["Authorization"] = f"Bearer {token}"
        for method, path in ROUTES:
            if method == "GET" and "{" not in path:
                answer = await served.http.get(path)
                assert answer.status_code < 500, f"{path}: {answer.text}"
        for path, total in there.items():
            listed = (await served.http.get(path)).json()
            assert total
            assert listed["pagination"]["total"] == total, path
        for sale, total_minor in sales:
            shown = (await served.http.get(f"/api/pos/sales/{sale}")).json()["data"]
            assert round(shown["total"] * 100) == total_minor
    tally(days=1, lists=len(there), sales=len(sales))


def _parse(reply: bytes) -> None:
    """What the command log keeps: a host's reply, or of plain SQL a status in two bytes and the
    body. No host's reply begins with a zero."""
    if reply[0]:
        decode_reply(decode_logged(reply).reply)
    else:
        json.loads(reply[2:] or b"null")


async def _as_they_were(shop: Shop, then: Then) -> None:
    """Every aggregate of the shop, as its owner tells it."""
    for (product, place), level in then.levels.items():
        reply = await shop.do(m.GetLevels((product,), place))
        assert isinstance(reply, m.Levels)
        (now,) = reply.levels
        # Its open holds have expired since, or soon will.
        assert (now.on_hand, now.incoming) == (level[0], level[2])
        assert now.reserved <= level[1]
    for card, balance in then.cards.items():
        reply = await shop.do(t.GetCard(card))
        assert isinstance(reply, t.CardState)
        assert reply.card.balance_minor == balance
    for register, receipt in then.registers.items():
        reply = await shop.do(t.GetRegister(register))
        assert isinstance(reply, t.RegisterState)
        assert reply.register.next_receipt_number == receipt
    for order, status in then.orders.items():
        reply = await shop.do(p.GetPurchase(order))
        assert isinstance(reply, p.PurchaseReply)
        assert reply.status == status
    for transfer, status in then.transfers.items():
        reply = await shop.do(tr.GetTransfer(transfer))
        assert isinstance(reply, tr.TransferReply)
        assert reply.transfer.status == status
    for hold, status in then.holds.items():
        reply = await shop.do(m.GetReservation(hold))
        assert isinstance(reply, m.Hold)
        # Its time has run out since, or soon will have.
        assert reply.status == status or (status, reply.status) == ("open", "expired")


async def _trade(shop: Shop, then: Then, rng: random.Random) -> Counter[str]:
    """What is open is ended, what was sold comes back, and the goods go on being sold."""
    told: Counter[str] = Counter()
    for order, status in then.orders.items():
        if status in ("ordered", "partly_received"):
            told["cancelled"] += await _done(shop, p.CancelPurchase(order))
    for transfer, status in then.transfers.items():
        if status == "in_transit":
            told["received"] += await _done(shop, tr.ReceiveTransfer(transfer))
    register, currency = uuid7(), await _currency(shop)
    await shop.do(t.PutRegister(register, shop.tenant_id, "A day later", 20, create=True))
    await shop.do(t.OpenShift(register, uuid7(), 1_000_000, currency))
    for sale in rng.sample(then.sales, 20):
        back = t.Return(uuid7(), sale, register, (t.ReturnLine(0, 1),), reason="a day later")
        told["returned"] += await _done(shop, back)
    here = [product for product, place in then.levels if place == shop.tenant_id]
    await Traffic(shop, rng.sample(here, 6), rng).run(8, SECONDS)
    assert told["cancelled"]
    assert told["received"]
    assert told["returned"]
    return told


async def _done(shop: Shop, command: Any) -> bool:
    return not isinstance(await shop.insist(Request(command)), Refused)


async def _currency(shop: Shop) -> str:
    owner = await asyncpg.connect(shop.cluster.urls.owner)
    try:
        query = "SELECT currency FROM businesses WHERE id = $1"
        return str(await owner.fetchval(query, shop.tenant_id))
    finally:
        await owner.close()
