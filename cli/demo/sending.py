"""How the demo's clients send what they want: once, twice at the same time, or hanging up on it.

Every step has a key made of the run and of what the step is, so it happens once however often it
is sent. A step ends with an answer that counts: while its outcome is unknown `cli.api.client` sends
it again with the same key, until the patience is at an end; then the run is over without a proof.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import httpx2

from cli.api.client import ApiError, Client, Reply
from cli.demo.books import Books
from cli.demo.documents import Units
from cli.demo.meter import Meter

SENT_TWICE_SHARE = 0.10
HUNG_UP_SHARE = 0.05
HANG_UP_AFTER_SECONDS = (0.001, 0.05)
_TICK_SECONDS = 0.2


class Manner(Enum):
    """How a client sends a step: once, twice at the same time, or it hangs up and tries again."""

    PLAIN = auto()
    TWICE = auto()
    HANGS_UP = auto()


@dataclass(frozen=True, slots=True)
class Refused:
    """There was not enough. `available` is what there was, by product id, where it fell short."""

    available: dict[str, Units]

    @classmethod
    def of(cls, reply: Reply) -> Refused | None:
        if code_of(reply) != "insufficient_stock":
            return None
        return cls(
            {shortage["productId"]: shortage["available"] for shortage in reply.body["shortages"]}
        )


@dataclass(slots=True)
class Answers:
    """How many there were of the kinds that make a client send again."""

    waited: int = 0
    errors: int = 0

    async def count(self, response: httpx2.Response) -> None:
        """A hook on every answer."""
        self.waited += response.status_code == 429
        self.errors += response.status_code >= 500


class Sender:
    """Sends steps as one caller. Many tasks may use it at once."""

    def __init__(self, client: Client, books: Books, run: str, seed: str) -> None:
        self.client = client
        self.random = random.Random(f"{run}-{seed}")  # noqa: S311
        self._books = books
        self._run = run

    def manner(self) -> Manner:
        """The next one, by chance."""
        draw = self.random.random()
        if draw < SENT_TWICE_SHARE:
            return Manner.TWICE
        return Manner.HANGS_UP if draw < SENT_TWICE_SHARE + HUNG_UP_SHARE else Manner.PLAIN

    async def post(self, path: str, body: Any, step: str) -> Any:
        """The data of a success. Raises ApiError."""
        return checked(await self.client.request("POST", path, body=body, key=self._key(step)))

    async def send(self, path: str, body: Any, step: str, meter: Meter, manner: Manner) -> Reply:
        """The answer, whatever its status."""
        key = self._key(step)

        def send() -> Coroutine[Any, Any, Reply]:
            return self.client.request("POST", path, body=body, key=key)

        if manner is Manner.TWICE:
            meter.sent_twice += 1
            first, second = await asyncio.gather(send(), send())
            if not _same(first, second):
                answers = f"{first.status} {first.body} and {second.status} {second.body}"
                self._books.faults.append(f"{key}, sent twice, was answered {answers}")
            return first
        if manner is Manner.HANGS_UP:
            try:
                async with asyncio.timeout(self.random.uniform(*HANG_UP_AFTER_SECONDS)):
                    return await send()
            except TimeoutError:
                meter.hung_up += 1
        return await send()

    def _key(self, step: str) -> str:
        return f"{self._run}-{step}"


async def crowd(work: Iterable[Coroutine[Any, Any, None]], tick: Callable[[], None]) -> None:
    """Runs all at once, with a `tick` now and then and one at the end. The first failure ends
    the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(_every(_TICK_SECONDS, tick))
            await asyncio.wait([group.create_task(job) for job in work])
            ticking.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    tick()


async def _every(seconds: float, tick: Callable[[], None]) -> None:
    while True:
        tick()
        await asyncio.sleep(seconds)


def code_of(reply: Reply) -> str | None:
    """The code of a refusal. None for a success, and for what is no answer of the API's."""
    return None if reply.ok or not isinstance(reply.body, dict) else reply.body.get("code")


def checked(reply: Reply) -> Any:
    """The data of a success. Raises ApiError."""
    if not reply.ok:
        raise ApiError(reply)
    return reply.body["data"]


def _same(first: Reply, second: Reply) -> bool:
    """Whether two answers to one key agree. A refusal's figures may be newer in the second."""
    if first.status != second.status:
        return False
    if not first.ok:
        return code_of(first) == code_of(second)
    return bool(first.body == second.body)
