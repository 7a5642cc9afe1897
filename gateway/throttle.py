"""Slows down guessing: a few attempts per account and address, many per address, then a wait.

Such requests are rare and dear (a password hash each), so each asks Redis, and counts by itself
as well for when Redis is away.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from core.clock import Clock
from core.errors import TooManyRequests
from core.telemetry import RATE_LIMIT_OPEN, RATE_LIMITED
from store.redis import Redis, RedisUnavailable

MOST_KEPT = 50_000


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `attempts` in each span of `window_seconds`."""

    name: str
    attempts: int
    window_seconds: int


LOGIN_PER_ACCOUNT = Rule("login-account", 10, 900)
LOGIN_PER_ADDRESS = Rule("login-address", 300, 900)
REGISTER_PER_ADDRESS = Rule("register-address", 300, 900)
RESET_PER_ACCOUNT = Rule("reset-account", 5, 3600)
RESET_PER_ADDRESS = Rule("reset-address", 60, 3600)
LINK_PER_ADDRESS = Rule("link-address", 60, 900)
REFRESH_PER_ADDRESS = Rule("refresh-address", 600, 900)


class Throttle:
    def __init__(self, redis: Redis, clock: Clock, *, enabled: bool = True) -> None:
        self._redis = redis
        self._clock = clock
        self._enabled = enabled
        self._counts: dict[str, int] = {}

    async def attempt(self, rule: Rule, *subject: str) -> None:
        """Counts an attempt before it is made, so that many at once gain nothing. Raises
        TooManyRequests until the window ends."""
        if not self._enabled:
            return
        now_s = self._clock.now_ms() / 1000
        key = _key(rule, int(now_s // rule.window_seconds), subject)
        if key not in self._counts and len(self._counts) >= MOST_KEPT:
            self._counts.pop(next(iter(self._counts)))
        count = self._counts[key] = self._counts.get(key, 0) + 1
        try:
            total = (await self._redis.add({key: 1}, ttl_seconds=rule.window_seconds))[key]
        except RedisUnavailable:
            RATE_LIMIT_OPEN.inc()
            total = 0
        if max(count, total) > rule.attempts:
            RATE_LIMITED.labels(rule.name).inc()
            wait_seconds = rule.window_seconds - now_s % rule.window_seconds
            raise TooManyRequests(
                "Too many attempts; wait a while.", retry_after_seconds=int(wait_seconds) + 1
            )

    async def forgive(self, rule: Rule, *subject: str) -> None:
        """Forgets the attempts of a subject that has proved itself."""
        if not self._enabled:
            return
        window = int(self._clock.now_ms() / 1000 // rule.window_seconds)
        key = _key(rule, window, subject)
        self._counts.pop(key, None)
        try:
            await self._redis.delete(key)
        except RedisUnavailable:
            RATE_LIMIT_OPEN.inc()


def _key(rule: Rule, window: int, subject: tuple[str, ...]) -> str:
    # Hashed: Redis need not know who tries to sign in.
    digest = hashlib.sha256("\0".join(subject).encode()).hexdigest()[:32]
    return f"holdfast:throttle:{rule.name}:{window}:{digest}"
