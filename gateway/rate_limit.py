"""Rate limits, decided in process and reported to the other replicas through Redis once a second.

A Redis round trip per request would cost more than the work. So each replica counts by itself, and
in the background adds its share to a common counter and learns the others'. A caller that hurries
is reported at once, so that replicas together let through about a tenth of the limit too much each.
Without Redis each goes on alone: limits fail open, and `holdfast_rate_limit_failed_open_total` says
so.

Counting is by a sliding window: this window's count, plus the part of the last one's that still
lies within one window's length.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass

from core.clock import Clock
from core.errors import TooManyRequests
from core.principal import Principal, Role
from core.telemetry import RATE_LIMIT_OPEN, RATE_LIMITED
from store.kit.redis import Redis, RedisUnavailable

WINDOW_SECONDS = 10
MAX_CALLERS = 50_000
MAX_REPORTED_PER_ROUND = 5_000
ROUND_SECONDS = 1.0
_REPORTED_TOGETHER = 500
# A caller that is far below the limit is not reported to others: this keeps rounds small.
_REPORTED_FROM_SHARE = 0.02
_REPORTED_AT_ONCE_FROM_SHARE = 0.1
_SHORTEST_ROUND_SECONDS = 0.05
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests per second, averaged over the window; an expensive request counts as several."""

    anonymous: int = 100
    user: int = 100
    service: int = 5_000
    tenant: int = 10_000


class Limited(TooManyRequests):
    """Carries the figures for the `RateLimit-*` headers."""

    def __init__(self, limit: int, wait_seconds: float) -> None:
        wait = max(1, math.ceil(wait_seconds))
        super().__init__(retry_after_seconds=wait)
        self.headers = {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(wait),
        }


class _Window:
    __slots__ = ("count", "index", "previous", "unreported")

    def __init__(self, index: int) -> None:
        self.index = index
        self.count = 0
        self.previous = 0
        self.unreported = 0


class RateLimiter:
    """Counts callers and tenants. Memory is bounded: the longest known is forgotten first."""

    def __init__(
        self,
        redis: Redis,
        clock: Clock,
        *,
        enabled: bool = True,
        limits: Limits | None = None,
    ) -> None:
        self._redis = redis
        self._enabled = enabled
        self._clock = clock
        limits = limits or Limits()
        self._anonymous = limits.anonymous * WINDOW_SECONDS
        self._user = limits.user * WINDOW_SECONDS
        self._service = limits.service * WINDOW_SECONDS
        self._tenant = limits.tenant * WINDOW_SECONDS
        self._windows: dict[str, _Window] = {}
        self._unreported: set[str] = set()
        self._hurry = asyncio.Event()
        # Two rounds at once would report the same requests twice.
        self._round = asyncio.Lock()

    def check(self, principal: Principal, cost: int = 1) -> None:
        """Counts a request of `principal` and of its tenant, as so many. Raises Limited."""
        if not self._enabled:
            return
        if principal.role is Role.ANONYMOUS:
            self._take(principal.id, self._anonymous, "caller", cost)
            return
        limit = self._service if principal.role is Role.SERVICE else self._user
        if principal.rate_limit_per_second is not None:
            limit = min(limit, principal.rate_limit_per_second * WINDOW_SECONDS)
        # Each key has a limit of its own: a script uses up neither its owner's nor another's.
        self._take(principal.key_id or principal.id, limit, "caller", cost)
        if principal.tenant_id is not None:
            self._take(principal.tenant_id.hex, self._tenant, "tenant", cost)

    def check_address(self, address: str) -> None:
        """Counts one attempt to prove something from `address`. Raises Limited."""
        if self._enabled:
            self._take(f"ip:{address}", self._anonymous, "caller")

    def _take(self, key: str, limit: int, scope: str, cost: int = 1) -> None:
        now = self._clock.now_ms() / 1000
        index = int(now // WINDOW_SECONDS)
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= MAX_CALLERS:
                self._windows.pop(next(iter(self._windows)))
            window = self._windows[key] = _Window(index)
        elif window.index != index:
            window.previous = window.count if window.index == index - 1 else 0
            window.index, window.count, window.unreported = index, 0, 0
        passed = now / WINDOW_SECONDS - index
        if window.previous * (1 - passed) + window.count > limit - cost + _ROUNDING:
            RATE_LIMITED.labels(scope).inc()
            raise Limited(limit, _wait_seconds(window, limit, passed, cost))
        window.count += cost
        window.unreported += cost
        if window.count > limit * _REPORTED_FROM_SHARE:
            self._unreported.add(key)
            if window.unreported > limit * _REPORTED_AT_ONCE_FROM_SHARE:
                self._hurry.set()

    async def run(self) -> None:
        """Reports and learns once a second, sooner when a caller hurries, until cancelled."""
        while True:
            await asyncio.sleep(_SHORTEST_ROUND_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._hurry.wait()
            self._hurry.clear()
            try:
                await self.reconcile()
            except RedisUnavailable:
                RATE_LIMIT_OPEN.inc()

    async def reconcile(self) -> None:
        """One round. Raises RedisUnavailable; what was not reported is reported in a later
        round."""
        async with self._round:
            index = int(self._clock.now_ms() / 1000 // WINDOW_SECONDS)
            keys = list(self._unreported)[:MAX_REPORTED_PER_ROUND]
            for start in range(0, len(keys), _REPORTED_TOGETHER):
                await self._report(index, keys[start : start + _REPORTED_TOGETHER])

    async def _report(self, index: int, keys: list[str]) -> None:
        reports: dict[str, tuple[_Window, int]] = {}
        for key in keys:
            if self._is_unreported(key, index):
                window = self._windows[key]
                reports[f"holdfast:rate:{index}:{key}"] = window, window.unreported
        if reports:
            totals = await self._redis.add(
                {key: amount for key, (_, amount) in reports.items()},
                ttl_seconds=3 * WINDOW_SECONDS,
            )
            for key, (window, amount) in reports.items():
                if window.index == index:
                    window.unreported -= amount
                    window.count = totals[key] + window.unreported
        self._unreported.difference_update(
            key for key in keys if not self._is_unreported(key, index)
        )

    def _is_unreported(self, key: str, index: int) -> bool:
        window = self._windows.get(key)
        return window is not None and window.index == index and window.unreported > 0


def _wait_seconds(window: _Window, limit: int, passed: float, cost: int) -> float:
    """Seconds until a request of this cost fits: the old window's weight falls as this one
    passes."""
    room = limit - cost
    if room <= 0:
        return WINDOW_SECONDS  # It fits into a new window, if at all.
    if window.count <= room:
        needed = 1 - (room - window.count) / window.previous
        return (needed - passed) * WINDOW_SECONDS
    return (1 - passed + 1 - room / window.count) * WINDOW_SECONDS
