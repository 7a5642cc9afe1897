"""What anyone may read has a price and its turn: it keeps nobody from signing in or selling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Annotated

import asyncpg
import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends

from core.errors import TooManyRequests, Unavailable
from core.ids import uuid7
from core.principal import Principal, Role
from core.settings import Settings
from deployments.capabilities import CAPABILITIES
from deployments.kit.capability import Capability
from deployments.kit.routes import Anyone
from gateway import turns
from gateway.access import PUBLIC_ACCESS, READING
from gateway.app import placed_routes
from gateway.rate_limit import WINDOW_SECONDS, Limits, RateLimiter
from gateway.routing import HoldfastRoute
from gateway.rules import BadRoute
from gateway.turns import AT_ONCE, MAX_PER_CALLER, MAX_WAITING, Turns
from store.kit.engine import PUBLIC, PUBLIC_POOL_SIZE, Database
from store.kit.redis import Redis
from tests.api.gateway.gateway_kit import problem
from tests.api.harness import Served, serving
from tests.api.in_process import in_process
from tests.api.shop import done, open_till
from tests.clock import StandingClock

pytestmark = pytest.mark.asyncio(loop_scope="module")
VENDOR = {"vendorId": "01a1f834-14e8-728c-ad00-07d2f4ba597c"}
DEAR = [
    "/api/products",
    "/api/products/facets",
    "/api/products/categories",
    "/api/products/categories/tree",
    "/api/inventory/status/low-stock",
]
TURNED_AWAY = "Too many lists are being read; try again."
LARGE = ["/openapi.json", "/docs/swagger-ui.css"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(embedded: Settings) -> AsyncIterator[Served]:
    async with serving(embedded, CAPABILITIES) as found:
        yield found


async def test_every_public_read_has_a_price() -> None:
    costs = {
        route.template: route.access.cost
        for route in placed_routes(CAPABILITIES)
        if route.access and route.access.is_public and READING & (route.methods or set())
    }
    assert {path for path, cost in costs.items() if cost and cost > 1} == set(DEAR)
    assert None not in costs.values()


async def test_a_public_read_without_a_price_is_no_route() -> None:
    router = APIRouter(route_class=HoldfastRoute)

    @router.get("/free", summary="A trial")
    async def free(_: Annotated[Principal, Depends(PUBLIC_ACCESS)]) -> int:
        return 0

    with pytest.raises(BadRoute, match=free.__name__):
        placed_routes([Capability("trial", "/api/trial", (router,))])


async def test_a_dear_read_counts_as_several(embedded: Settings) -> None:
    clock = StandingClock()
    clock.ms -= clock.ms % (WINDOW_SECONDS * 1000)
    limiter = RateLimiter(Redis("unix:///nowhere/redis.sock"), clock, limits=Limits(anonymous=1))
    anybody = Principal("ip:203.0.113.7", Role.ANONYMOUS)
    limiter.check(anybody, 4)
    limiter.check(anybody, 4)
    with pytest.raises(TooManyRequests):
        limiter.check(anybody, 4)
    limiter.check(anybody, 2)


@pytest.mark.parametrize("path", DEAR + LARGE)
async def test_the_route_takes_its_price(embedded: Settings, path: str) -> None:
    """Of twenty requests' worth, no more than five lists."""
    peer = f"198.51.100.{(DEAR + LARGE).index(path)}"
    limits = Limits(anonymous=2)
    params = VENDOR if path.startswith("/api/products") else {}
    async with serving(embedded, CAPABILITIES, limits=limits, peer=peer) as served:
        answers = [await served.http.get(path, params=params) for _ in range(6)]
    assert answers[0].status_code == 200
    problem(answers[-1], 429, "rate_limited")
    assert answers[-1].headers["ratelimit-limit"] == str(2 * WINDOW_SECONDS)


async def test_whoever_lists_keeps_nobody_from_anything_else(served: Served) -> None:
    """All lists stand still: people sign in, look at one thing, and learn that we are ready."""
    person = {"name": "Ann", "email": f"{uuid7()}@shop.test", "password": "blue-kettle-7"}
    assert (await served.http.post("/api/auth/register", json=person)).status_code == 201
    async with standing_lists(served):
        lists = [
            asyncio.create_task(served.http.get("/api/products/categories/tree", params=VENDOR))
            for _ in range(3 * MAX_PER_CALLER)
        ]
        refused, _ = await asyncio.wait(lists, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result().status_code for task in refused} == {503}
        # At once, and not for want of a connection.
        assert {task.result().json()["detail"] for task in refused} == {TURNED_AWAY}
        async with asyncio.timeout(turns.MAX_WAIT_SECONDS):
            login = await served.http.post(
                "/api/auth/login", json={k: person[k] for k in ("email", "password")}
            )
            assert login.status_code == 200
            assert (await served.http.get("/ready")).status_code == 200
            assert (await served.http.get(f"/api/products/{uuid7()}")).status_code == 404
        # None hangs for longer than its turn and its statement may take.
        for answer in await asyncio.gather(*lists):
            problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
    again = await served.http.get("/api/products/categories/tree", params=VENDOR)
    assert again.status_code == 200


@asynccontextmanager
async def standing_lists(served: Served) -> AsyncIterator[None]:
    """Nobody reads the table of categories meanwhile."""
    connection = await asyncpg.connect(served.resources.settings.owner_database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE categories IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def test_public_reads_have_connections_of_their_own(embedded: Settings) -> None:
    db = Database(embedded.app_database_url, pool_size=1)
    try:
        async with AsyncExitStack() as stack:
            for _ in range(PUBLIC_POOL_SIZE):
                await stack.enter_async_context(db.transaction(PUBLIC))
            with pytest.raises(Unavailable):
                await stack.enter_async_context(db.transaction(PUBLIC))
            assert await db.now_ms() > 0
    finally:
        await db.close()


async def test_a_sale_goes_on_beside_saturated_public_reads(embedded: Settings) -> None:
    """Public reads have every connection that they can get, and keep it."""
    person = {"name": "Ann", "email": f"{uuid7()}@shop.test", "password": "blue-kettle-7"}
    async with in_process(embedded) as here, open_till(here) as shop:
        product = await shop.goods(stock=2)
        done(await shop.sell(product))
        http = shop.served.http
        done(await http.post("/api/auth/register", json=person))
        async with saturated(shop.served):
            dear = [
                asyncio.create_task(http.get(path, params={"vendorId": str(shop.tenant)}))
                for path in ("/api/products", "/api/products/categories/tree")
            ]
            async with asyncio.timeout(5):
                sale, login, ready = await asyncio.gather(
                    shop.sell(product),
                    http.post(
                        "/api/auth/login", json={k: person[k] for k in ("email", "password")}
                    ),
                    http.get("/ready"),
                )
            assert (sale.status_code, login.status_code, ready.status_code) == (201, 200, 200)
            for answer in await asyncio.gather(*dear):
                problem(answer, 503, "unavailable")
        assert await shop.on_hand(product) == 0


@asynccontextmanager
async def saturated(served: Served) -> AsyncIterator[None]:
    """No connection is left to public reads."""
    full, over = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with AsyncExitStack() as stack:
            with suppress(Unavailable):
                while True:
                    await stack.enter_async_context(served.resources.db.transaction(PUBLIC))
            full.set()
            await over.wait()

    # In a task of its own: transactions are counted by who opened them.
    holding = asyncio.create_task(hold())
    await full.wait()
    try:
        yield
    finally:
        over.set()
        await holding


async def test_turns_come_in_order_and_within_bounds() -> None:
    doorman, order = Turns(), list[int]()
    gate = asyncio.Event()

    async def visit(number: int, caller: str) -> None:
        async with doorman.take(caller):
            order.append(number)
            await gate.wait()

    visits = [
        asyncio.create_task(visit(number, f"caller-{number % 3}"))
        for number in range(AT_ONCE + MAX_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await visit(-1, "another")
    assert order == list(range(AT_ONCE))
    visits[AT_ONCE].cancel()  # who hangs up leaves a place
    await asyncio.sleep(0)
    late = asyncio.create_task(visit(-2, "another"))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*visits, late, return_exceptions=True)
    assert order == [*range(AT_ONCE), *range(AT_ONCE + 1, AT_ONCE + MAX_WAITING), -2]


async def test_one_caller_leaves_places_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_WAIT_SECONDS", 0.05)
    doorman, inside = Turns(), asyncio.Event()

    async def visit(caller: str) -> None:
        async with doorman.take(caller):
            await inside.wait()

    loud = [asyncio.create_task(visit("loud")) for _ in range(MAX_PER_CALLER)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await visit("loud")
    quiet = asyncio.create_task(visit("quiet"))
    await asyncio.sleep(0)
    assert not quiet.done()
    # No caller waits without end.
    found = await asyncio.gather(*loud[AT_ONCE:], quiet, return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in found)
    inside.set()
    await asyncio.gather(*loud[:AT_ONCE])


async def test_a_route_that_answers_no_model_is_none() -> None:
    router = APIRouter(route_class=HoldfastRoute)

    @router.get("/bare", summary="A trial")
    async def bare(_: Anyone) -> dict[str, int]:
        return {}

    with pytest.raises(BadRoute, match="answers no model"):
        placed_routes([Capability("trial", "/api/trial", (router,))])
