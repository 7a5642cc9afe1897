"""Every list at 20,000 rows: how many pages of the database each of its rows costs.

What is measured are the statements that the routes themselves issue, in their transactions, so
under the app role and its policies. Every list of the routes is measured: as it is asked without
filters, or with those that have a row here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import Connection, Uuid, cast, event, func, select

from bench.filled import fill, nth
from core.ids import uuid7
from core.paging import MAX_COUNTED
from core.principal import Role
from core.settings import Settings
from deployments.capabilities import CAPABILITIES
from store.kit import paging
from store.kit.engine import PUBLIC
from store.kit.servers import prepare
from tests.api.every_route.lists_kit import (
    FILTERED,
    FIRST,
    IN_VAIN,
    LIMIT,
    LISTS,
    MAX_BESIDE,
    MAX_PER_ROW,
    OFFLINE,
    PAGED,
    TENANT,
    WHOLE,
    List,
)
from tests.api.harness import Served, serving
from tests.api.people import bearer

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROWS = 20_000


SALES = ("locations", "pos_registers", "pos_shifts", "pos_sales")
# What no index answers is asked of so many rows; this is what it costs to ask one, where every
# tenth is of the list, and to ask one product, whose stock, variants and prices lie elsewhere, and
# which lies itself elsewhere than the key that sorts names.
EXAMINED = 1_000
MAX_PER_EXAMINED, MAX_PER_PRODUCT = 0.4, 13


class Meter:
    """Pages that the database looked at since it was last asked."""

    def __init__(self) -> None:
        self.page = self.count = 0
        self.plans: list[str] = []

    def explain(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> None:
        if not statement.startswith(("SELECT", "WITH")) or "set_config" in statement:
            return
        explained = f"EXPLAIN (ANALYZE, BUFFERS) {statement}"
        cursor.execute(explained, parameters)
        lines = [row[0] for row in cursor.fetchall()]
        found = next((line for line in lines if "Buffers: shared" in line), "")
        pages = sum(
            int(part.partition("=")[2])
            for part in found.split()
            if part.startswith(("hit=", "read="))
        )
        if statement.startswith("SELECT count(*) AS count_1 \nFROM (SELECT 1"):
            self.count += pages
        else:
            self.page += pages
        self.plans += [statement, *lines]

    def most_rows(self) -> float:
        """Of the steps of all plans, the most rows that one found."""
        return max(map(float, re.findall(r"actual time=\S+ rows=([\d.]+)", "\n".join(self.plans))))


@contextmanager
def metered(served: Served) -> Iterator[Meter]:
    meter, db = Meter(), served.resources.db
    engines = [engine.sync_engine for engine in (db._engine, db._public)]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", meter.explain)
    try:
        yield meter
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", meter.explain)
    assert meter.plans, "nothing was measured"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(embedded: Settings) -> AsyncIterator[Served]:
    """Over a database of its own: whatever the public may see is what `fill` made."""
    admin = await asyncpg.connect(embedded.owner_database_url)
    await admin.execute("CREATE DATABASE lists")
    await admin.close()
    url = embedded.owner_database_url.replace("/holdfast?", "/lists?")
    settings = embedded.model_copy(update={"rate_limit": "off", "database_url": url})
    await asyncio.to_thread(prepare, url, settings)
    await fill(url, TENANT, ROWS)
    await fill(url, OFFLINE, 3 * EXAMINED, SALES)
    await _upload_all(url, OFFLINE)
    async with serving(settings, CAPABILITIES) as one:
        yield one


async def _upload_all(url: str, tenant_id: UUID) -> None:
    owner = await asyncpg.connect(url)
    try:
        await owner.execute(
            "UPDATE pos_sales SET client_sale_id = id, upload_digest = '\\x00', uploaded_by = 'x',"
            " uploaded_at = created_at WHERE tenant_id = $1 AND client_sale_id IS NULL",
            tenant_id,
        )
        await owner.execute("VACUUM (ANALYZE) pos_sales")
    finally:
        await owner.close()


def caller(served: Served, path: str) -> dict[str, str]:
    """Who may ask for it: the platform's admin for people, else the owner of the business."""
    tokens, who = served.resources.edge.tokens, nth(0, TENANT)
    if path.startswith("/api/users") and "addresses" not in path:
        return bearer(tokens.issue(who, Role.ADMIN, None, uuid7()))
    return bearer(tokens.issue(who, Role.OWNER, TENANT, uuid7()))


def with_ids(path: str) -> str:
    return re.sub(r"\{\w+\}", FIRST, path)


async def ask(served: Served, path: str, **query: Any) -> dict[str, Any]:
    path = with_ids(path)
    headers = caller(served, path)
    answer: httpx2.Response = await served.http.get(path, params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_every_row_is_of_a_list() -> None:
    assert {listed.path for listed in FILTERED} <= PAGED


@pytest.mark.parametrize(
    ("listed", "query"),
    [
        pytest.param(listed, query, id=f"{listed.path} {query}")
        for listed in LISTS
        for query in listed.queries
    ],
)
async def test_a_row_costs_a_few_pages(served: Served, listed: List, query: dict[str, Any]) -> None:
    last = MAX_COUNTED // LIMIT
    await ask(served, listed.path, limit=LIMIT, **query)  # What is remembered is remembered now.
    with metered(served) as meter:
        first = await ask(served, listed.path, limit=LIMIT, **query)
    rows = len(first["data"])
    assert meter.page <= MAX_PER_ROW * rows + listed.beside, "\n".join(meter.plans)
    assert meter.count <= listed.count * MAX_COUNTED, "\n".join(meter.plans)
    deep = first
    if "updatedSince" not in query:  # which goes on by a cursor alone
        deep = await ask(served, listed.path, limit=LIMIT, page=last, **query)
    if cursor := (deep if deep["data"] else first)["pagination"].get("nextCursor"):
        with metered(served) as meter:
            beyond = await ask(served, listed.path, limit=LIMIT, cursor=cursor, **query)
        assert beyond["data"]
        assert meter.count == 0
        assert meter.page <= MAX_PER_ROW * LIMIT + listed.beside, "\n".join(meter.plans)


@pytest.mark.parametrize("path", WHOLE)
async def test_a_list_without_pages_reads_what_it_answers(served: Served, path: str) -> None:
    headers = caller(served, path)
    query, rows, most_per_row = WHOLE[path]
    with metered(served) as meter:
        answer = await served.http.get(with_ids(path), params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    assert path.endswith("export") or len(answer.json()["data"]) == rows
    assert meter.page <= most_per_row * rows + MAX_BESIDE, "\n".join(meter.plans)


@pytest.mark.parametrize(
    ("path", "query"), [pytest.param(*case, id=f"{case[0]} {case[1]}") for case in IN_VAIN]
)
async def test_nothing_is_sought_to_the_end(
    served: Served, path: str, query: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_EXAMINED", EXAMINED)
    with metered(served) as meter:
        body = await ask(served, path, limit=LIMIT, **query)
    each = MAX_PER_PRODUCT if path == "/api/products" else MAX_PER_EXAMINED
    assert meter.page <= each * EXAMINED, "\n".join(meter.plans)
    assert meter.most_rows() <= EXAMINED, "\n".join(meter.plans)
    assert meter.count == 0
    seen, steps = len(body["data"]), 0
    while "nextCursor" in (pages := body["pagination"]):
        assert pages["totalIsExact"] is False
        body = await ask(served, path, limit=LIMIT, cursor=pages["nextCursor"], **query)
        seen, steps = seen + len(body["data"]), steps + 1
    assert steps <= ROWS // EXAMINED
    # Of all products the first one alone has no stock, and no price.
    assert seen == (1 if query.get("inStock") is False else 0)


@pytest.mark.parametrize("query", [query for path, query in IN_VAIN if path == "/api/products"])
async def test_facets_look_at_so_many_products(
    served: Served, query: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_EXAMINED", EXAMINED)
    narrowed = {name: value for name, value in query.items() if name != "sort"}
    with metered(served) as meter:
        answer = await served.http.get("/api/products/facets", params=narrowed)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["counted"] == 0
    assert meter.page <= MAX_PER_PRODUCT * EXAMINED, "\n".join(meter.plans)
    assert meter.most_rows() <= EXAMINED, "\n".join(meter.plans)


@pytest.mark.parametrize("vendor", [None, uuid7()])
async def test_a_search_reads_what_it_finds(served: Served, vendor: UUID | None) -> None:
    """Each product has the word: of all vendors the first will do, and this vendor has none."""
    words = func.to_tsquery("simple", "'s':*")
    search = select(func.search_products(words, cast(vendor, Uuid), LIMIT))
    async with served.resources.db.transaction(PUBLIC) as tx:
        await tx.execute(search)  # Planning for the first time reads the catalogue of tables.
        with metered(served) as meter:
            found = (await tx.execute(search)).all()
    assert len(found) == (LIMIT if vendor is None else 0)
    assert meter.page <= MAX_BESIDE, "\n".join(meter.plans)


async def test_a_filter_that_has_an_index_is_walked_whatever_stands_beside_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sales of a shift that is no longer the latest stand far behind those of all others."""
    monkeypatch.setattr(paging, "MAX_EXAMINED", LIMIT)
    for beside in (
        {"offline": False},
        {"locationId": FIRST},
        {"offline": False, "cashierId": FIRST},
    ):
        body = await ask(served, "/api/pos/sales", limit=LIMIT, shiftId=FIRST, **beside)
        assert body["data"], beside


async def test_sales_of_a_register_that_was_always_offline_are_not_walked_to_the_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no index of the others, which are most elsewhere."""
    monkeypatch.setattr(paging, "MAX_EXAMINED", EXAMINED)
    token = served.resources.edge.tokens.issue(nth(0, OFFLINE), Role.OWNER, OFFLINE, uuid7())
    with metered(served) as meter:
        answer = await served.http.get(
            "/api/pos/sales", params={"offline": False}, headers=bearer(token)
        )
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == []
    assert answer.json()["pagination"].get("totalIsExact") is False
    assert meter.page <= MAX_PER_EXAMINED * EXAMINED, "\n".join(meter.plans)
    assert meter.most_rows() <= EXAMINED, "\n".join(meter.plans)


async def test_a_cashier_is_shown_their_own_sales_of_the_latest(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_EXAMINED", EXAMINED)
    found = MAX_PER_ROW * LIMIT + MAX_BESIDE
    for who, sold in ((nth(1, TENANT), True), (uuid7(), False)):
        token = served.resources.edge.tokens.issue(who, Role.CASHIER, TENANT, uuid7())
        with metered(served) as meter:
            answer = await served.http.get("/api/pos/sales", headers=bearer(token))
        body = answer.json()
        assert bool(body["data"]) is sold
        assert "nextCursor" in body["pagination"]
        assert meter.page <= MAX_PER_EXAMINED * EXAMINED + sold * found, "\n".join(meter.plans)


async def test_totals_beyond_the_bound_say_so(served: Served) -> None:
    path, vendor = "/api/products", {"vendorId": str(TENANT), "limit": 100}
    with metered(served) as meter:
        pages = (await ask(served, path, **vendor))["pagination"]
    assert (pages["total"], pages["totalIsExact"]) == (MAX_COUNTED, False)
    assert meter.most_rows() == MAX_COUNTED + 1
    few = (await ask(served, path, vendorId=str(TENANT), category="C7"))["pagination"]
    assert (few["total"], "totalIsExact" in few) == (ROWS // 100, False)
    beyond = await served.http.get(path, params=vendor | {"page": 101})
    assert (beyond.status_code, beyond.json()["errors"][0]["field"]) == (400, "page")
    assert "nextCursor" in beyond.json()["errors"][0]["message"]


async def test_a_cursor_leads_through_all_of_it_once(served: Served) -> None:
    seen: list[str] = []
    where: dict[str, str] = {}
    while True:
        body = await ask(served, "/api/products", vendorId=str(TENANT), limit=100, **where)
        seen += [row["id"] for row in body["data"]]
        assert body["pagination"]["page"] == len(seen) // 100
        if "nextCursor" not in body["pagination"]:
            break
        where = {"cursor": body["pagination"]["nextCursor"]}
    assert [UUID(product_id) for product_id in seen] == [
        nth(n, TENANT) for n in reversed(range(ROWS))
    ]
