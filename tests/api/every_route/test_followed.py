"""Whoever follows a list by `updatedSince` has in the end what there is: nothing is missed, nothing
comes twice in one walk, and a deletion is heard of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import text

from gateway.schemas import SyncQuery
from store.kit import changes
from tests.api.cases import ROUTES, is_paged
from tests.api.every_route.followed import FOLLOWED, NOT_FOLLOWED, asked
from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, done, open_till, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
LONG_AGO = "2000-01-01T00:00:00Z"
CUSTOMERS = "/api/crm/customers"


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_till(here) as opened:
        yield opened


async def page(shop: Shop, path: str, **query: Any) -> dict[str, Any]:
    answer = await shop.owner.get(path, params=asked(path, shop, limit=3, **query))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


class Copy:
    """What somebody has who follows a list."""

    def __init__(self, shop: Shop, path: str) -> None:
        self._shop, self._path, self.since = shop, path, LONG_AGO
        self.rows: dict[str, dict[str, Any]] = {}

    async def walk(self, between: Any = None) -> int:
        """One walk from page to page, with `between` after each; returns how many rows it had."""
        query: dict[str, Any] = {"updatedSince": self.since}
        seen: list[str] = []
        while True:
            body = await page(self._shop, self._path, **query)
            seen += [row["id"] for row in body["data"]]
            self.rows |= {row["id"]: row for row in body["data"]}
            if between is not None:
                await between()
            if "nextCursor" not in body["pagination"]:
                break
            query["cursor"] = body["pagination"]["nextCursor"]
        assert len(seen) == len(set(seen)), "twice in one walk"
        self.since = body["pagination"]["nextUpdatedSince"]
        return len(seen)


async def test_each_list_is_followed_or_says_why_not() -> None:
    paged = {route.template: route for route in ROUTES.values() if is_paged(route)}
    takes = {path for path, route in paged.items() if _takes_updated_since(route)}
    assert takes == FOLLOWED.keys()
    assert takes | NOT_FOLLOWED.keys() == paged.keys()
    assert not takes & NOT_FOLLOWED.keys()


def _takes_updated_since(route: Any) -> bool:
    models = [each.field_info.annotation for each in route.dependant.query_params]
    return any(isinstance(each, type) and issubclass(each, SyncQuery) for each in models)


@pytest.mark.parametrize("path", FOLLOWED)
async def test_nothing_is_missed_and_nothing_comes_twice(shop: Shop, path: str) -> None:
    followed, copy = FOLLOWED[path], Copy(shop, path)
    made = [await followed.make(shop) for _ in range(8)]
    changed: set[str] = set()
    deleted: set[str] = set()
    waiting = list(made)

    async def meanwhile() -> None:
        made.append(await followed.make(shop))
        if waiting:
            changed.add(first := waiting.pop())
            await followed.change(shop, first)
        if waiting and followed.delete is not None:
            deleted.add(last := waiting.pop(0))
            await followed.delete(shop, last)

    await copy.walk(meanwhile)
    while waiting:
        await copy.walk(meanwhile)
    await copy.walk()
    assert await copy.walk() == 0, "it has come to an end"
    assert set(made) <= copy.rows.keys()
    assert {row_id for row_id in made if copy.rows[row_id].get("deletedAt")} == deleted
    here = {row["id"]: row for row in await _all(shop, path)}
    assert here.keys() == {row_id for row_id, row in copy.rows.items() if not row.get("deletedAt")}
    for row_id in changed:
        assert copy.rows[row_id] == here[row_id]


async def _all(shop: Shop, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {}
    while True:
        body = await page(shop, path, **query)
        found += body["data"]
        if "nextCursor" not in body["pagination"]:
            return found
        query["cursor"] = body["pagination"]["nextCursor"]


@pytest.mark.parametrize("waits", [True, False])
async def test_what_commits_late_is_not_missed(
    shop: Shop, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting it is: its moment lies before that of what was read, and both before the
    next walk's."""
    if not waits:

        async def now(tx: Any) -> datetime:
            found: datetime = (await tx.execute(text("SELECT clock_timestamp()"))).scalar_one()
            return found

        monkeypatch.setattr(changes, "settled", now)
    late, soon = [await FOLLOWED[CUSTOMERS].make(shop) for _ in range(2)]
    copy = Copy(shop, CUSTOMERS)
    await copy.walk()
    writer = await asyncpg.connect(shop.stack.settings.owner_database_url)
    change = "UPDATE customers SET notes = $2, updated_at = statement_timestamp() WHERE id = $1"
    slow = writer.transaction()
    await slow.start()
    await writer.execute("SET LOCAL holdfast.tenant_id = ''")
    await writer.execute(change, late, "late")
    await shop.rows(change, soon, "soon")
    walking = asyncio.create_task(copy.walk())
    done_first, _ = await asyncio.wait({walking}, timeout=0.5)
    assert bool(done_first) is not waits
    await slow.commit()
    await walking
    await copy.walk()
    await writer.close()
    assert copy.rows[soon]["notes"] == "soon"
    assert (copy.rows[late]["notes"] == "late") is waits


async def test_who_writes_for_long_keeps_changes_from_being_known(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PATIENCE_SECONDS", 0.1)
    writer = await asyncpg.connect(shop.stack.settings.owner_database_url)
    async with writer.transaction():
        await writer.fetchval("SELECT pg_current_xact_id()")
        problem(await shop.owner.get(CUSTOMERS, params={"updatedSince": LONG_AGO}), 503)
    await writer.close()
    done(await shop.owner.get(CUSTOMERS, params={"updatedSince": LONG_AGO}))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (CUSTOMERS, {"updatedSince": "yesterday"}),
        (CUSTOMERS, {"page": 2, "updatedSince": LONG_AGO}),
        (CUSTOMERS, {"updatedSince": LONG_AGO, "cursor": "WyJ4Il0"}),
        (CUSTOMERS, {"updatedSince": LONG_AGO, "cursor": "eA"}),
        (CUSTOMERS, {"updatedSince": LONG_AGO, "q": "ann"}),
        ("/api/products", {"updatedSince": LONG_AGO, "sort": "name"}),
    ],
)
async def test_what_is_wrong_is_named(shop: Shop, path: str, query: dict[str, Any]) -> None:
    wrong = problem(await shop.owner.get(path, params=asked(path, shop, **query)), 400)
    named = next(name for name in ("cursor", "q", "sort", "updatedSince") if name in query)
    assert [error["field"] for error in wrong["errors"]] == [named]


async def test_changes_of_goods_are_for_the_business(shop: Shop) -> None:
    for caller in (await shop.anyone(), (await shop.another()).owner):
        asks = asked("/api/products", shop, updatedSince=LONG_AGO)
        problem(await caller.get("/api/products", params=asks), 403)


async def test_a_variant_is_part_of_its_product(shop: Shop) -> None:
    copy = Copy(shop, "/api/products")
    tea = await FOLLOWED["/api/products"].make(shop)
    await copy.walk()
    new = {"sku": f"V-{tea[-8:]}", "options": {"size": "M"}}
    variant = done(await shop.owner.post(f"/api/products/{tea}/variants", new))["id"]
    assert await copy.walk() == 1
    assert copy.rows[tea]["variantCount"] == 2  # one was made with it
    place = f"/api/products/variants/{variant}"
    done(await shop.owner.call("PUT", place, {"options": {"size": "L"}}))
    assert await copy.walk() == 1
