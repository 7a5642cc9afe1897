"""Limits at the edge. No time passes, so that no window ends in the middle of a test."""

from __future__ import annotations

import asyncio

from core.principal import Role
from core.settings import Settings
from gateway.rate_limit import Limits
from tests.api.gateway.gateway_kit import (
    ALL,
    bearer,
    problem,
)
from tests.api.harness import serving
from tests.clock import StandingClock

ONE, TWO = Limits(anonymous=1), Limits(anonymous=2)


async def test_a_caller_over_the_limit_is_told_to_wait(embedded: Settings) -> None:
    clock = StandingClock()
    async with serving(embedded, ALL, limits=ONE, clock=clock, peer="198.51.100.9") as served:
        answers = [await served.http.get("/api/trial/open") for _ in range(25)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 15
        problem(refused[0], 429, "rate_limited")
        assert int(refused[0].headers["retry-after"]) >= 1
        assert refused[0].headers["ratelimit-limit"] == "10"
        assert refused[0].headers["ratelimit-remaining"] == "0"
        assert (await served.http.get("/health")).status_code == 200
        known = await served.http.get("/api/trial/open", headers=bearer(served, Role.CUSTOMER))
        assert known.status_code == 429  # proving who one is counts against the address first


async def test_two_rounds_at_once_tell_once(embedded: Settings) -> None:
    clock = StandingClock()
    async with (
        serving(embedded, ALL, limits=TWO, clock=clock, peer="198.51.100.11") as one,
        serving(embedded, ALL, limits=TWO, clock=clock, peer="198.51.100.11") as other,
    ):
        for _ in range(9):
            assert (await one.http.get("/api/trial/open")).status_code == 200
        limiter = one.resources.edge.limiter
        await asyncio.gather(limiter.reconcile(), limiter.reconcile(), limiter.reconcile())
        assert (await other.http.get("/api/trial/open")).status_code == 200
        await other.resources.edge.limiter.reconcile()
        passed = [(await other.http.get("/api/trial/open")).status_code for _ in range(15)]
        assert passed.count(200) == 10


async def test_replicas_share_a_limit(embedded: Settings) -> None:
    clock = StandingClock()
    async with (
        serving(embedded, ALL, limits=TWO, clock=clock, peer="198.51.100.10") as one,
        serving(embedded, ALL, limits=TWO, clock=clock, peer="198.51.100.10") as other,
    ):
        for _ in range(15):
            assert (await one.http.get("/api/trial/open")).status_code == 200
        await one.resources.edge.limiter.reconcile()
        assert (await other.http.get("/api/trial/open")).status_code == 200
        await other.resources.edge.limiter.reconcile()
        passed = [(await other.http.get("/api/trial/open")).status_code for _ in range(10)]
        assert passed.count(200) == 4


async def test_a_dead_redis_takes_nothing_down(embedded: Settings) -> None:
    nowhere, clock = "unix:///nowhere/redis.sock", StandingClock()
    async with serving(embedded, ALL, redis_url=nowhere, limits=ONE, clock=clock) as served:
        answers = [(await served.http.get("/api/trial/open")).status_code for _ in range(12)]
        assert answers == [200] * 10 + [429] * 2
