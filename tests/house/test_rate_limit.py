"""Rate limits on a running copy: two replicas count as one, and nobody pays for another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx2
import pytest

from core.ids import uuid7
from core.principal import Role
from gateway.rate_limit import WINDOW_SECONDS, Limits
from gateway.throttle import LOGIN_PER_ACCOUNT
from tests.api.shop import Shop, done, open_shop, problem
from tests.chaos.client import Client, Unknown
from tests.stack import Stack

PER_WINDOW = Limits().user * WINDOW_SECONDS
CONNECTIONS = 32
# What two replicas let through between two rounds of telling each other, and then some.
OVERSHOOT = 0.5


@pytest.fixture
async def limited_shop(copies: tuple[Stack, Stack]) -> AsyncIterator[Shop]:
    async with open_shop(copies[0]) as opened:
        yield opened


async def flood(shop: Shop, token: str, path: str, seconds: float) -> tuple[int, int, float]:
    """As many reads as go into a window; how many were let through, how many refused."""
    began = time.monotonic()
    passed = refused = 0

    async def one() -> None:
        nonlocal passed, refused
        client = Client(shop.stack.settings.port, token)
        while time.monotonic() - began < seconds:
            try:
                await client.get(path)
                passed += 1
            except Unknown:
                refused += 1
                await asyncio.sleep(0.01)
        client.hang_up()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return passed, refused, time.monotonic() - began


async def test_a_caller_is_held_to_its_share(limited_shop: Shop) -> None:
    shop = limited_shop
    product = await shop.product(1)
    loud, quiet = await shop.caller(Role.STAFF), await shop.caller(Role.STAFF)
    token = loud.http.headers["authorization"].removeprefix("Bearer ")
    path = f"/api/inventory/{product}"
    # At a window's start: the flood is then all in one window, and the bound is that window's.
    await asyncio.sleep(WINDOW_SECONDS - time.time() % WINDOW_SECONDS)
    passed, refused, seconds = await flood(shop, token, path, WINDOW_SECONDS * 0.8)
    if passed + refused < PER_WINDOW * (1 + OVERSHOOT):
        pytest.skip(f"NOT RUN: {passed + refused} requests in {seconds:.0f} s reach no limit")
    assert refused
    assert passed <= PER_WINDOW * (1 + OVERSHOOT)
    answer = await loud.get(path)
    problem(answer, 429, "rate_limited")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["ratelimit-limit"] == str(PER_WINDOW)
    assert answer.headers["ratelimit-remaining"] == "0"
    done(await quiet.get(path))
    assert (await loud.get("/health")).status_code == 200


async def test_guessing_a_password_is_slow_on_all_replicas_together(limited_shop: Shop) -> None:
    anyone = await limited_shop.anyone()
    people = [f"{uuid7()}@shop.test" for _ in range(2)]
    for email in people:
        person = {"name": "Ann", "email": email, "password": "secret-1"}
        done(await anyone.post("/api/auth/register", person))

    async def guess(email: str, password: str) -> httpx2.Response:
        return await anyone.post("/api/auth/login", {"email": email, "password": password})

    answers = [
        await guess(people[0], f"wrong-{number}") for number in range(LOGIN_PER_ACCOUNT.attempts)
    ]
    assert {answer.status_code for answer in answers} == {401}
    for password in ("wrong", "secret-1"):
        answer = await guess(people[0], password)
        problem(answer, 429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 1
    assert (await guess(people[1], "secret-1")).status_code == 200
