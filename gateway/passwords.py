"""Password hashing by argon2id: off the event loop, a few at once; and which passwords must not be
chosen.

Keyboards write the same password as different code points: an accent by itself or in its letter, a
digit of full width. So passwords are put into one form (NFKC) before they are hashed or judged. A
password that an earlier build hashed as it was typed is still compared as it is typed.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import Unavailable

T = TypeVar("T")

WORKERS = 2
MAX_WAITING = 64


@cache
def _common() -> frozenset[str]:
    text = files("gateway").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def prepared(password: str) -> str:
    """A password in the one form in which it is hashed, compared and judged."""
    return unicodedata.normalize("NFKC", password)


def weakness(password: str) -> str | None:
    """Why a new password would be among the first guesses; None if it would not."""
    password = prepared(password)
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
        # The password of an unknown account is compared with this, so that it takes as long.
        self._dummy = self._hasher.hash(secrets.token_hex())

    async def hash(self, password: str) -> str:
        """Raises Unavailable when too many are waiting already."""
        return await self._run(lambda: self._hasher.hash(prepared(password)))

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether the password has this hash; None stands for an account that does not exist, and
        takes as long as any other. Raises Unavailable when too many are waiting already."""
        right = await self._run(lambda: self._verify(password, password_hash or self._dummy))
        return right and password_hash is not None

    def is_outdated(self, password: str, password_hash: str) -> bool:
        """Whether the hash was made with weaker parameters than today's, or may have been made of
        the password as it was typed."""
        is_weak = self._hasher.check_needs_rehash(password_hash)
        return is_weak or prepared(password) != password

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, password_hash: str) -> bool:
        for form in dict.fromkeys((prepared(password), password)):
            with suppress(VerificationError, InvalidHashError):
                return self._hasher.verify(password_hash, form)
        return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("Too many people are signing in; try again in a moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
