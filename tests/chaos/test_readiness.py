"""What a copy says of itself, and what it still does, while a server that it needs is away."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import psutil
import pytest

from gateway.errors import PROBLEM_JSON
from store.embedded.leftovers import signal_process
from tests.api.shop import Shop, done, open_shop
from tests.stack import Stack

# Fifteen are promised, to a machine that has some to spare.
MAX_SECONDS = 60.0


@contextmanager
def stopped(processes: list[psutil.Process]) -> Iterator[None]:
    """Suspends processes: their connections stay open, and nothing ever comes of them."""
    assert processes
    for process in processes:
        signal_process(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            signal_process(process, signal.SIGCONT)


async def readiness(http: httpx2.AsyncClient) -> tuple[int, dict[str, Any]]:
    answer = await http.get("/ready")
    found = answer.json()
    if answer.status_code == 200:
        return 200, found["data"]
    assert answer.headers["content-type"] == PROBLEM_JSON
    assert answer.headers["retry-after"]
    return answer.status_code, found


async def until(http: httpx2.AsyncClient, check: str, state: str, seconds: float) -> int:
    """Waits until a check says so; returns the status that it came with."""
    async with asyncio.timeout(seconds):
        while True:
            status, found = await readiness(http)
            # Without any where HAProxy says so by itself.
            if found.get("checks", {}).get(check) == state:
                return status
            await asyncio.sleep(0.1)


@pytest.mark.timeout(120)
async def test_while_postgres_stands_still_it_is_not_ready(
    victim: Stack, figures: list[str]
) -> None:
    """And not for long: the supervisor ends who stands still, and starts it again."""
    await asyncio.to_thread(victim.wait_ready)
    async with open_shop(victim) as shop, victim.client() as http:
        product = await shop.product(5)
        line = {"productId": product, "quantity": 1}
        with stopped(victim.postgres("postgres")):
            began = time.monotonic()
            assert await until(http, "postgres", "failed", 15) == 503
            assert (await http.get("/health")).status_code == 200
            # What is not known yet cannot be decided: a typed refusal, until it is.
            async with asyncio.timeout(MAX_SECONDS):
                while (answer := await reserve(shop, line)).status_code == 503:
                    assert answer.headers["content-type"] == PROBLEM_JSON
                    await asyncio.sleep(float(answer.headers["retry-after"]))
            figures.append(f"Postgres stopped: sold again after {time.monotonic() - began:.1f} s")
            await asyncio.to_thread(victim.wait_ready, MAX_SECONDS)
        done(answer)
        # Unknown meanwhile, and it happened once.
        done(await reserve(shop, line))
        assert await shop.level(product) == (4, 5, 1)


async def reserve(shop: Shop, line: dict[str, Any]) -> httpx2.Response:
    return await shop.owner.post("/api/inventory/reserve", line, key="while-away")


@pytest.mark.timeout(120)
async def test_without_valkey_it_goes_on(victim: Stack, figures: list[str]) -> None:
    await asyncio.to_thread(victim.wait_ready)
    async with open_shop(victim) as shop, victim.client() as http:
        product = await shop.product(100)
        slowest = 0.0
        with stopped(victim.valkey()):
            reserving = asyncio.create_task(_reserve_often(shop, product))
            # Degraded: all that is promised holds.
            assert await until(http, "redis", "failed", 15) == 200
            slowest = await reserving
            figures.append(f"Valkey stopped: slowest reservation {slowest * 1000:.0f} ms")
            assert slowest < 10
            assert await until(http, "redis", "ok", MAX_SECONDS) == 200
        assert (await http.get("/metrics")).status_code == 200
        assert await shop.level(product) == (80, 100, 20)


async def _reserve_often(shop: Shop, product: str) -> float:
    """The slowest of twenty, in seconds."""
    slowest = 0.0
    for _ in range(20):
        asked = time.monotonic()
        await shop.reserve(product)
        slowest = max(slowest, time.monotonic() - asked)
    return slowest
