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
from tests.api.shop import done, open_shop
from tests.stack import Stack


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
            if found["checks"][check] == state:
                return status
            await asyncio.sleep(0.1)


@pytest.mark.timeout(120)
async def test_without_postgres_it_is_not_ready(victim: Stack, figures: list[str]) -> None:
    await asyncio.to_thread(victim.wait_ready)
    async with open_shop(victim) as shop, victim.client() as http:
        product = await shop.product(5)
        with stopped(victim.postgres("postgres")):
            assert await until(http, "postgres", "failed", 15) == 503
            assert (await http.get("/health")).status_code == 200
            # What is not known yet cannot be decided: a typed refusal, within its deadline.
            line = {"productId": product, "quantity": 1}
            asked = time.monotonic()
            refused = await shop.owner.post("/api/inventory/reserve", line, key="while-away")
            waited = time.monotonic() - asked
            assert refused.status_code == 503
            assert refused.headers["content-type"] == PROBLEM_JSON
            assert refused.headers["retry-after"]
            assert waited < 45  # its deadline of 30 s, on a machine that is busy
        back = time.monotonic()
        while await until(http, "postgres", "ok", 30) != 200:
            assert time.monotonic() - back < 30
        figures.append(
            f"Postgres stopped: 503 after {waited:.1f} s; ready again"
            f" {time.monotonic() - back:.1f} s after it went on"
        )
        # Unknown until now: the repeat settles it, and it happened at most once.
        done(await shop.owner.post("/api/inventory/reserve", line, key="while-away"))
        assert await shop.level(product) == (4, 5, 1)


@pytest.mark.timeout(120)
async def test_without_valkey_it_goes_on(victim: Stack, figures: list[str]) -> None:
    await asyncio.to_thread(victim.wait_ready)
    async with open_shop(victim) as shop, victim.client() as http:
        product = await shop.product(100)
        slowest = 0.0
        with stopped(victim.valkey()):
            for _ in range(20):
                asked = time.monotonic()
                await shop.reserve(product)
                slowest = max(slowest, time.monotonic() - asked)
            assert await until(http, "redis", "failed", 5) == 200
            assert (await readiness(http))[1]["status"] == "degraded"
            assert (await http.get("/metrics")).status_code == 200
        figures.append(f"Valkey stopped: slowest reservation {slowest * 1000:.0f} ms")
        assert slowest < 10
        assert await until(http, "redis", "ok", 15) == 200
        assert await shop.level(product) == (80, 100, 20)
