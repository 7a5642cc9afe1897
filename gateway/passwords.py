"""Password hashing by argon2id: off the event loop, and only so many at once; and which passwords
nobody should choose."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import Unavailable

T = TypeVar("T")

WORKERS = 2
MOST_WAITING = 64


@cache
def _common() -> frozenset[str]:
    text = files("gateway").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def weakness(password: str) -> str | None:
    """Why a password that somebody chooses would be guessed first; None if it would not."""
    if not password.strip():
        return "must not be blank"
    if len(set(password)) == 1:
        return "must not be one character again and again"
    if password.strip().lower() in _common():
        return "is one of the commonest passwords; choose another"
    return None


class Passwords:
    """argon2id with the parameters that OWASP recommends (19 MiB, two passes, one lane)."""

    def __init__(self, passes: int = 2, memory_kib: int = 19_456) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="argon2")
        self._waiting = 0
        # What an unknown account's password is compared with, so that it takes as long.
        self._dummy = self._hasher.hash(secrets.token_hex())

    async def hash(self, password: str) -> str:
        """Raises Unavailable when too many are waiting already."""
        return await self._run(lambda: self._hasher.hash(password))

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether they belong together; None stands for an account that does not exist, and
        takes as long as any other. Raises Unavailable when too many are waiting already."""
        right = await self._run(lambda: self._verify(password, password_hash or self._dummy))
        return right and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("Too many people are signing in; try again in a moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
