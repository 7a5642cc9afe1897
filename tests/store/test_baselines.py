"""Each baseline does the job that it is compared by: a reservation is durable, none is oversold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import asyncpg
import httpx
import pytest

from bench import goods
from bench.baselines.conditional import ConditionalUpdate
from bench.baselines.group_commit import GroupCommit
from bench.baselines.http import PATH, Shop, make_app
from bench.baselines.one_statement import OneStatement
from bench.baselines.orm import Orm
from bench.baselines.redis_counter import RedisCounter, load_counters
from core.clock import SystemClock
from core.principal import Role
from core.settings import Settings
from gateway.keys import KeyRing
from gateway.tokens import Tokens
from store import migrate

DATABASE = "baselines"
SHOPS: dict[str, Callable[[Settings], Shop]] = {
    "conditional": ConditionalUpdate,
    "one_statement": OneStatement,
    "orm": Orm,
    "redis_counter": RedisCounter,
    "group_commit": GroupCommit,
}


@pytest.fixture
def settings(embedded: Settings) -> Settings:
    """Over a new, empty database on the embedded server."""
    url = embedded.owner_database_url.replace("/holdfast?", f"/{DATABASE}?")
    asyncio.run(_recreate(embedded.owner_database_url))
    redis_url = f"{embedded.effective_redis_url}?db=1"
    changes = {"home": embedded.home, "database_url": url, "redis_url": redis_url}
    return Settings.model_validate(changes)


async def _recreate(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()


def stock(settings: Settings, name: str) -> None:
    """The opening stock, in the tables that this baseline works on."""

    async def fill() -> None:
        connection = await asyncpg.connect(settings.owner_database_url)
        try:
            if name == "group_commit":
                await goods.stock_holdfast(connection)
            else:
                await goods.stock_baseline(connection)
        finally:
            await connection.close()
        if name == "redis_counter":
            await load_counters(settings)

    if name == "group_commit":
        migrate.upgrade(settings.owner_database_url)
    asyncio.run(fill())


@pytest.fixture(params=SHOPS)
def shop_name(request: pytest.FixtureRequest, settings: Settings) -> str:
    name: str = request.param
    stock(settings, name)
    return name


@pytest.fixture
async def client(settings: Settings, shop_name: str) -> AsyncIterator[httpx.AsyncClient]:
    shop = SHOPS[shop_name](settings)
    app = make_app(shop, settings)
    await shop.start()
    try:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bench.test") as http:
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
    client: httpx.AsyncClient, settings: Settings, shop_name: str
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
    client: httpx.AsyncClient, settings: Settings, shop_name: str
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
async def test_a_token_is_asked_for(client: httpx.AsyncClient, authorization: str | None) -> None:
    body = {"productId": str(goods.product_id(goods.HOT)), "quantity": 1}
    sent = {"Authorization": authorization} if authorization else {}
    answer = await client.post(PATH, json=body, headers=sent)
    assert answer.status_code == 401
