"""Each baseline does the job that it is compared by: what it answers is durable and exact."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import asyncpg
import httpx2
import pytest

from bench import goods, sale_books, tills
from bench.baselines.conditional import ConditionalUpdate
from bench.baselines.group_commit import GroupCommit
from bench.baselines.http import PATH, Shop, make_app
from bench.baselines.one_statement import OneStatement
from bench.baselines.orm import Orm
from bench.baselines.redis_counter import RedisCounter, load_counters
from bench.baselines.selling import PATH as SALES
from bench.books import NotExact
from core.clock import SystemClock
from core.principal import Role
from core.settings import Settings
from gateway.keys import KeyRing
from gateway.tokens import Tokens
from store.kit import migrate

DATABASE = "baselines"
SHOPS: dict[str, Callable[[Settings], Shop]] = {
    "conditional": ConditionalUpdate,
    "one_statement": OneStatement,
    "orm": Orm,
    "redis_counter": RedisCounter,
    "group_commit": GroupCommit,
}
SELLING: dict[str, Callable[[Settings], ConditionalUpdate | Orm]] = {
    "conditional": ConditionalUpdate,
    "orm": Orm,
}
sellers = pytest.mark.parametrize("shop_name", SELLING, indirect=True)


@pytest.fixture(scope="module")
def stocked(embedded: Settings) -> dict[str, str]:
    """The databases with an opening stock that there are so far, by the baseline that works on
    their tables."""
    return {}


@pytest.fixture(params=SHOPS)
def shop_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def settings(embedded: Settings, stocked: dict[str, str], shop_name: str) -> Settings:
    """Over a database of its own on the embedded server, with the opening stock in the tables
    that this baseline works on."""
    tables = shop_name if shop_name == "group_commit" else "baseline"
    if tables not in stocked:
        template = f"{DATABASE}_{tables}"
        asyncio.run(_recreate(embedded, template, "template1"))
        stock(_over(embedded, template), tables)
        stocked[tables] = template
    asyncio.run(_recreate(embedded, DATABASE, stocked[tables]))
    settings = _over(embedded, DATABASE)
    if shop_name == "redis_counter":
        asyncio.run(load_counters(settings))
    return settings


def _over(embedded: Settings, database: str) -> Settings:
    url = embedded.owner_database_url.replace("/holdfast?", f"/{database}?")
    redis_url = f"{embedded.effective_redis_url}?db=1"
    changes = {"home": embedded.home, "database_url": url, "redis_url": redis_url}
    return Settings.model_validate(changes)


async def _recreate(embedded: Settings, database: str, template: str) -> None:
    connection = await asyncpg.connect(embedded.owner_database_url)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {database} TEMPLATE {template}")
    finally:
        await connection.close()


def stock(settings: Settings, tables: str) -> None:
    """Puts the opening stock into an empty database."""

    async def fill() -> None:
        connection = await asyncpg.connect(settings.owner_database_url)
        try:
            if tables == "group_commit":
                await goods.stock_holdfast(connection)
            else:
                await goods.stock_baseline(connection)
                await tills.open_baseline(connection)
        finally:
            await connection.close()

    if tables == "group_commit":
        migrate.upgrade(settings.owner_database_url)
    asyncio.run(fill())


@pytest.fixture
async def client(settings: Settings, shop_name: str) -> AsyncIterator[httpx2.AsyncClient]:
    shop: Shop
    if shop_name in SELLING:
        shop = seller = SELLING[shop_name](settings)
        app = make_app(shop, settings, till=seller)
    else:
        shop = SHOPS[shop_name](settings)
        app = make_app(shop, settings)
    await shop.start()
    try:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://bench.test") as http:
            yield http
    finally:
        await shop.stop()


def headers(settings: Settings) -> dict[str, str]:
    tokens = Tokens(settings, KeyRing(settings), SystemClock())
    token = tokens.issue(goods.USER, Role.OWNER, goods.TENANT, goods.SESSION)
    return {"Authorization": f"Bearer {token}"}


async def held(settings: Settings, name: str) -> list[tuple[object, int]]:
    """Product and quantity of every hold in the database."""
    connection = await asyncpg.connect(settings.owner_database_url)
    try:
        query = "SELECT product_id, quantity FROM holds"
        if name == "group_commit":
            query = "SELECT product_ids[1], quantities[1] FROM reservations"
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def test_a_reservation_is_answered_and_durable(
    client: httpx2.AsyncClient, settings: Settings, shop_name: str
) -> None:
    product = goods.product_id(goods.HOT)
    body = {"productId": str(product), "quantity": 3}
    answer = await client.post(PATH, json=body, headers=headers(settings))
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert (data["productId"], data["quantity"], data["status"]) == (str(product), 3, "open")
    assert data["available"] == goods.PLENTY - 3
    assert await held(settings, shop_name) == [(product, 3)]


async def test_nobody_gets_what_is_sold_out(
    client: httpx2.AsyncClient, settings: Settings, shop_name: str
) -> None:
    """Many ask at once for more than there is: exactly what there is must be granted."""
    product = goods.product_id(goods.SOLD_OUT)
    body, known = {"productId": str(product), "quantity": 50}, headers(settings)
    answers = await asyncio.gather(
        *(client.post(PATH, json=body, headers=known) for _ in range(goods.FEW // 50 + 6))
    )
    assert Counter(answer.status_code for answer in answers) == {200: goods.FEW // 50, 409: 6}
    assert await held(settings, shop_name) == [(product, 50)] * (goods.FEW // 50)


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", "Basic Zm9v"])
async def test_a_token_is_asked_for(client: httpx2.AsyncClient, authorization: str | None) -> None:
    body = {"productId": str(goods.product_id(goods.HOT)), "quantity": 1}
    sent = {"Authorization": authorization} if authorization else {}
    answer = await client.post(PATH, json=body, headers=sent)
    assert answer.status_code == 401


def basket(*products: int, register: int = 0, cash: float = tills.TENDERED) -> dict[str, object]:
    """One unit of each product, or as many as the product is named."""
    return {
        "registerId": str(tills.register_id(register)),
        "lines": [
            {"productId": str(goods.product_id(product)), "quantity": count}
            for product, count in Counter(products).items()
        ],
        "payments": [{"method": "cash", "amount": cash}],
    }


async def sale_figures(settings: Settings, change: str | None = None) -> sale_books.SaleBooks:
    """The books of the till; after a `change` to the database, if there is one."""
    connection = await asyncpg.connect(settings.owner_database_url)
    try:
        if change:
            await connection.execute(change)
        row = await connection.fetchrow(sale_books.QUERIES["baseline"])
        return sale_books.SaleBooks(*row)
    finally:
        await connection.close()


@sellers
async def test_a_sale_is_answered_and_durable(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    before = await sale_figures(settings)
    assert before == sale_books.SaleBooks(0, 0, 0, 0, 0, 0, 0, 0)
    known = headers(settings)
    for number, body in enumerate([basket(5, 4, 3), basket(3, 4, 5)], 1):
        answer = await client.post(SALES, json=body, headers=known)
        assert answer.status_code == 201, answer.text
        data = answer.json()["data"]
        assert (data["receiptNumber"], data["status"]) == (number, "completed")
        assert (data["total"], data["tax"], data["tendered"], data["change"]) == (3, 0.51, 5, 2)
        assert [line["tax"] for line in data["lines"]] == [0.17] * 3
        assert data["payments"] == [{"number": 1, "method": "cash", "amount": 3}]
    sale_books.check(before, await sale_figures(settings), granted=2, unheard=0)


@sellers
async def test_a_crowd_buys_what_there_is_and_receipts_have_no_gaps(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    """Lines come in any order, and some ask for more than there is: none waits without end, and the
    refused leave nothing behind, no number either."""
    few = goods.product_id(goods.SOLD_OUT)
    await sale_figures(settings, f"UPDATE stock SET on_hand = 20 WHERE product_id = '{few}'")
    known = headers(settings)
    orders = [(1, 2, 3), (3, 1, 2), (2, 3, 1), (3, 2, 1)]
    answers = await asyncio.gather(
        *(
            client.post(SALES, json=basket(*orders[number % 4], register=number % 3), headers=known)
            for number in range(32)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {201: 20, 409: 12}
    given: dict[str, list[int]] = {}
    for answer in answers:
        if answer.status_code == 201:
            data = answer.json()["data"]
            given.setdefault(data["registerId"], []).append(data["receiptNumber"])
    assert all(sorted(numbers) == list(range(1, len(numbers) + 1)) for numbers in given.values())


@sellers
@pytest.mark.parametrize(
    "body",
    [
        basket(2, 3, 4, cash=2.99),
        basket(2, 3, 4, register=tills.REGISTERS),
        basket(2, 3, goods.FIRST_OF_MANY + goods.MANY),
        basket(2, 3, 4) | {"payments": [{"method": "external", "amount": 5}]},
    ],
    ids=["too little cash", "no such register", "no such product", "change that is not cash"],
)
async def test_what_cannot_be_sold_leaves_nothing(
    client: httpx2.AsyncClient, settings: Settings, body: dict[str, object]
) -> None:
    answer = await client.post(SALES, json=body, headers=headers(settings))
    assert answer.status_code == 409, answer.text
    assert await sale_figures(settings) == sale_books.SaleBooks(0, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("shop_name", ["conditional"], indirect=True)
async def test_books_that_are_not_exact_are_noticed(
    client: httpx2.AsyncClient, settings: Settings
) -> None:
    known = headers(settings)
    before = await sale_figures(settings)
    for register in (0, 0, 1):
        await client.post(SALES, json=basket(2, 3, 4, register=register), headers=known)
    after = await sale_figures(settings)
    sale_books.check(before, after, granted=3, unheard=0)
    sale_books.check(before, after, granted=2, unheard=1)
    for granted, unheard in ((4, 5), (2, 0)):
        with pytest.raises(NotExact, match="sales were answered"):
            sale_books.check(before, after, granted, unheard)
    for change, fault in {
        "UPDATE stock SET on_hand = on_hand - 1": "products whose level",
        "UPDATE registers SET drawer_minor = drawer_minor + 1": "drawers that do not",
        "UPDATE registers SET next_receipt_number = next_receipt_number + 1": "have gaps",
        "UPDATE sales SET receipt_number = 7 WHERE receipt_number = 2": "have gaps",
        "UPDATE payments SET amount_minor = amount_minor - 1": "do not add up",
        "DELETE FROM sale_lines WHERE number = 3": "sales, 6 units",
    }.items():
        with pytest.raises(NotExact, match=fault):
            sale_books.check(before, await sale_figures(settings, change), 3, 0)
