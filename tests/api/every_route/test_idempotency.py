"""One key, one effect, one answer: for what an owner of stock decides, and for plain SQL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from core.principal import Role
from tests.api.shop import Shop, done, problem


@dataclass
class Mutation:
    """A request that does something, one with the same key that asks for something else, and a
    query that counts what the first one did."""

    path: str
    body: dict[str, Any]
    other: dict[str, Any]
    count: str


async def reserve(shop: Shop) -> Mutation:
    product = await shop.product(50)
    body = {"productId": product, "quantity": 2}
    count = f"SELECT count(*) AS n FROM reservations WHERE '{product}' = ANY(product_ids)"
    return Mutation("/api/inventory/reserve", body, {**body, "quantity": 3}, count)


async def add(shop: Shop) -> Mutation:
    product = await shop.product(50)
    body = {"productId": product, "quantity": 2}
    count = f"SELECT count(*) - 1 AS n FROM stock_movements WHERE product_id = '{product}'"
    return Mutation("/api/inventory/add", body, {**body, "quantity": 3}, count)


async def create(shop: Shop) -> Mutation:
    body = {"name": "Chair", "price": 9}
    count = f"SELECT count(*) AS n FROM products WHERE tenant_id = '{shop.tenant}'"
    return Mutation("/api/products", body, {**body, "price": 8}, count)


async def mint(shop: Shop) -> Mutation:
    body = {"name": "till", "scopes": ["inventory:write"]}
    count = f"SELECT count(*) AS n FROM access_keys WHERE tenant_id = '{shop.tenant}'"
    return Mutation("/api/auth/service-keys", body, {**body, "name": "tills"}, count)


@pytest.fixture(params=[reserve, add, create, mint])
async def mutation(shop: Shop, request: pytest.FixtureRequest) -> Mutation:
    made: Mutation = await request.param(shop)
    return made


async def effects(shop: Shop, mutation: Mutation) -> int:
    return int((await shop.rows(mutation.count))[0]["n"])


def said(answer: httpx2.Response) -> tuple[int, Any, str | None]:
    body = answer.json()
    if "secret" in (body.get("data") or {}):
        body["data"]["secret"] = None  # shown once, by design
    return answer.status_code, body, answer.headers.get("x-holdfast-receipt")


async def test_a_repeat_has_no_effect_and_the_same_answer(shop: Shop, mutation: Mutation) -> None:
    key = str(uuid4())
    first = await shop.owner.post(mutation.path, mutation.body, key=key)
    assert first.is_success, first.text
    for _ in range(3):
        again = await shop.owner.post(mutation.path, mutation.body, key=key)
        assert said(again) == said(first)
    assert await effects(shop, mutation) == 1


async def test_repeats_in_parallel_are_one(shop: Shop, mutation: Mutation) -> None:
    key = str(uuid4())
    answers = await asyncio.gather(
        *(shop.owner.post(mutation.path, mutation.body, key=key) for _ in range(12))
    )
    assert all(answer.is_success for answer in answers), [answer.text for answer in answers]
    assert len({str(said(answer)) for answer in answers}) == 1
    assert await effects(shop, mutation) == 1


async def test_a_key_with_another_body_is_refused(shop: Shop, mutation: Mutation) -> None:
    key = str(uuid4())
    assert (await shop.owner.post(mutation.path, mutation.body, key=key)).is_success
    for _ in range(2):
        refused = await shop.owner.post(mutation.path, mutation.other, key=key)
        problem(refused, 422, "idempotency_key_reused")
    assert await effects(shop, mutation) == 1


async def test_without_a_key_each_request_is_its_own(shop: Shop, mutation: Mutation) -> None:
    for _ in range(2):
        assert (await shop.owner.post(mutation.path, mutation.body)).is_success
    assert await effects(shop, mutation) == 2


async def test_a_key_belongs_to_its_caller(shop: Shop, mutation: Mutation) -> None:
    key = str(uuid4())
    manager = await shop.caller(Role.MANAGER)
    for caller in (shop.owner, manager):
        assert (await caller.post(mutation.path, mutation.body, key=key)).is_success
    assert await effects(shop, mutation) == 2


async def test_a_key_belongs_to_its_route(shop: Shop) -> None:
    key, product = str(uuid4()), await shop.product(5)
    line = {"productId": product, "quantity": 2}
    for action in ("add", "reserve", "release"):
        done(await shop.owner.post(f"/api/inventory/{action}", line, key=key))
    assert await shop.level(product) == (7, 7, 0)


async def test_one_route_with_another_id_is_another_request(shop: Shop) -> None:
    product, key = await shop.product(5), str(uuid4())
    one, two = await shop.reserve(product), await shop.reserve(product)
    base = "/api/inventory/reservations"
    done(await shop.owner.post(f"{base}/{one['id']}/confirm", key=key))
    refused = await shop.owner.post(f"{base}/{two['id']}/confirm", key=key)
    problem(refused, 422, "idempotency_key_reused")
    assert await shop.level(product) == (3, 4, 1)


async def test_a_refusal_is_repeated_too(shop: Shop) -> None:
    """Until the request's deadline: also if the stock has come in since."""
    product, key = await shop.product(1), str(uuid4())
    body = {"productId": product, "quantity": 2}
    first = await shop.owner.post("/api/inventory/reserve", body, key=key)
    done(await shop.owner.post("/api/inventory/add", {"productId": product, "quantity": 5}))
    again = await shop.owner.post("/api/inventory/reserve", body, key=key)
    for answer in (first, again):
        assert problem(answer, 409, "insufficient_stock")["shortages"][0]["available"] == 1
    problem(await shop.owner.post("/api/inventory/reserve", {**body, "quantity": 1}, key=key), 422)
    assert await shop.level(product) == (6, 6, 0)


async def test_a_request_that_was_bad_does_not_use_up_its_key(shop: Shop) -> None:
    product, key = await shop.product(5), str(uuid4())
    bad = {"productId": product, "quantity": "2"}
    problem(await shop.owner.post("/api/inventory/reserve", bad, key=key), 400)
    done(await shop.owner.post("/api/inventory/reserve", {**bad, "quantity": 2}, key=key))


async def test_who_hangs_up_is_served_all_the_same(shop: Shop) -> None:
    """The command of a caller who went away runs to its end; the repeat hears its answer."""
    product = await shop.product(50)
    body = {"productId": product, "quantity": 1}
    keys = [str(uuid4()) for _ in range(30)]

    async def hang_up(key: str) -> None:
        async with shop.stack.client() as http:
            http.headers = shop.owner.http.headers
            request = http.post(
                "/api/inventory/reserve", json=body, headers={"Idempotency-Key": key}
            )
            task = asyncio.ensure_future(request)
            await asyncio.wait({task}, timeout=0.02)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    await asyncio.gather(*(hang_up(key) for key in keys))
    answers = [await shop.owner.post("/api/inventory/reserve", body, key=key) for key in keys]
    assert len({done(answer)["id"] for answer in answers}) == 30
    assert await shop.level(product) == (20, 50, 30)
