"""Rate limits: a sliding window, bounded in memory, open when Redis is away."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import uuid4

import pytest

from core.principal import Principal, Role
from core.telemetry import REGISTRY
from gateway import rate_limit
from gateway.rate_limit import WINDOW_SECONDS, Limited, Limits, RateLimiter
from store.kit.redis import Redis, RedisUnavailable
from tests.clock import StandingClock

NOWHERE = "unix:///nowhere/redis.sock"
ANYBODY = Principal("ip:203.0.113.7", Role.ANONYMOUS)


@pytest.fixture
def clock() -> StandingClock:
    """At the start of a window."""
    standing = StandingClock()
    standing.ms -= standing.ms % (WINDOW_SECONDS * 1000)
    return standing


def limiter(clock: StandingClock, **limits: int) -> RateLimiter:
    return RateLimiter(Redis(NOWHERE), clock, limits=Limits(**limits))


def passed(limiter: RateLimiter, principal: Principal, attempts: int) -> int:
    """How many of `attempts` at one moment get through."""
    count = 0
    for _ in range(attempts):
        try:
            limiter.check(principal)
        except Limited:
            continue
        count += 1
    return count


def test_the_limit_holds_over_any_stretch_of_a_window_s_length(clock: StandingClock) -> None:
    one = limiter(clock, anonymous=10)
    assert passed(one, ANYBODY, 500) == 10 * WINDOW_SECONDS
    clock.pass_seconds(
        WINDOW_SECONDS
    )  # at the edge of the next window the last one still counts in full
    assert passed(one, ANYBODY, 500) == 0
    clock.pass_seconds(WINDOW_SECONDS / 2)
    assert passed(one, ANYBODY, 500) == 5 * WINDOW_SECONDS
    clock.pass_seconds(5 * WINDOW_SECONDS)
    assert passed(one, ANYBODY, 500) == 10 * WINDOW_SECONDS


def test_whoever_waits_as_told_gets_through(clock: StandingClock) -> None:
    one = limiter(clock, anonymous=1)
    for step in (0.0, 3.3, 7.9, 12.4):
        clock.pass_seconds(step)
        passed(one, ANYBODY, 100)
        with pytest.raises(Limited) as refused:
            one.check(ANYBODY)
        wait = refused.value.retry_after_seconds
        assert wait is not None
        assert 1 <= wait <= 2 * WINDOW_SECONDS
        assert refused.value.headers["RateLimit-Remaining"] == "0"
        clock.pass_seconds(wait)
        assert passed(one, ANYBODY, 1) == 1


def test_a_tenant_s_people_share_its_limit(clock: StandingClock) -> None:
    one = limiter(clock, user=10, tenant=15)
    tenant = uuid4()
    people = [Principal(str(uuid4()), Role.STAFF, tenant) for _ in range(3)]
    assert [passed(one, person, 200) for person in people] == [100, 50, 0]
    assert passed(one, Principal(str(uuid4()), Role.STAFF, uuid4()), 200) == 100


def test_callers_do_not_share_one(clock: StandingClock) -> None:
    one = limiter(clock, anonymous=1)
    others = [Principal(f"ip:10.0.0.{number}", Role.ANONYMOUS) for number in range(5)]
    assert [passed(one, other, 20) for other in others] == [WINDOW_SECONDS] * 5


def test_off_is_off(clock: StandingClock) -> None:
    one = RateLimiter(Redis(NOWHERE), clock, enabled=False, limits=Limits(anonymous=1))
    assert passed(one, ANYBODY, 1000) == 1000


def test_memory_is_bounded(clock: StandingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_CALLERS", 100)
    one = limiter(clock, anonymous=1)
    for number in range(1000):
        one.check_address(f"address-{number}")
    assert len(one._windows) == 100


async def test_without_redis_it_goes_on_alone(clock: StandingClock) -> None:
    one = limiter(clock, anonymous=1)
    passed(one, ANYBODY, 5)
    with pytest.raises(RedisUnavailable):
        await one.reconcile()
    assert passed(one, ANYBODY, 100) == WINDOW_SECONDS - 5


async def test_that_it_failed_open_is_counted(
    clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "ROUND_SECONDS", 0.05)
    one = limiter(clock, anonymous=1)
    passed(one, ANYBODY, 5)
    name = "holdfast_rate_limit_failed_open_total"
    before = REGISTRY.get_sample_value(name) or 0
    with suppress(TimeoutError):
        await asyncio.wait_for(one.run(), 1)
    assert (REGISTRY.get_sample_value(name) or 0) > before
