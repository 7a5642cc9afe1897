"""Bodies of requests as they come in: bounded each, and all together."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from core.errors import HoldfastError, TooManyRequests, Unavailable

# Of all bodies that a replica has in memory at a time; small bodies always fit.
MAX_HELD_BYTES = 64 << 20
# HAProxy waits for all of such a body, and gives it to a replica in one go.
SMALL_BODY_BYTES = 12 << 10
# The share of them that one caller's larger ones may have: a caller that sends much is refused, and
# not all others.
MAX_HELD_BY_ONE_BYTES = MAX_HELD_BYTES // 4
# The larger bodies that one caller, and all callers together, may have under way to a replica: it
# has places for a thousand requests, and the other half is for bodies that are there as a whole.
MAX_ARRIVING = 64
MAX_ARRIVING_TOGETHER = 500
MAX_DRAINED_BYTES = 8 << 20
MAX_DRAINED_SECONDS = 2.0


class Held:
    """How many bytes of bodies this replica has in memory, in all and by caller; and by caller how
    many bodies are not there as a whole yet."""

    __slots__ = ("arriving", "bytes", "bytes_of")

    def __init__(self) -> None:
        self.bytes = 0
        self.bytes_of: Counter[str] = Counter()
        self.arriving: Counter[str] = Counter()


class BoundedBody:
    """A request's body up to a size, whether its length is announced or not, or else `refusal`.
    Used with `with`: until the block ends, what has arrived counts in `held`; while more is to
    come, the body also counts among those that `caller` has under way."""

    __slots__ = ("_caller", "_held", "_is_arriving", "_left", "_mine", "_receive", "_refusal")

    def __init__(
        self,
        receive: Receive,
        headers: dict[bytes, str],
        most_bytes: int,
        refusal: HoldfastError,
        held: Held,
        caller: str,
    ) -> None:
        self._receive = receive
        self._left = most_bytes
        self._refusal = refusal
        self._held = held
        self._caller = caller
        self._is_arriving = False
        self._mine = 0
        announced = headers.get(b"content-length", "0")
        if len(announced) > 18 or (announced.isdecimal() and int(announced) > most_bytes):
            self._left = -1

    def __enter__(self) -> BoundedBody:
        return self

    def __exit__(self, *_: object) -> None:
        self._hold(-self._mine)
        self._arriving(more=False)

    def _hold(self, size: int) -> None:
        held = self._held
        self._mine += size
        held.bytes += size
        held.bytes_of[self._caller] += size
        if not held.bytes_of[self._caller]:
            del held.bytes_of[self._caller]

    def _refuse_vast(self) -> None:
        """Raises TooManyRequests or Unavailable. A small body always fits."""
        if self._mine <= SMALL_BODY_BYTES:
            return
        if self._held.bytes_of[self._caller] > MAX_HELD_BY_ONE_BYTES:
            raise TooManyRequests("You send too much at a time.", retry_after_seconds=1)
        if self._held.bytes > MAX_HELD_BYTES:
            raise Unavailable("Too much is being sent at the moment; try again.")

    def _arriving(self, *, more: bool) -> None:
        """Takes a place, or leaves it when the body is whole. Raises TooManyRequests or
        Unavailable."""
        if more == self._is_arriving:
            return
        arriving = self._held.arriving
        if more and arriving[self._caller] >= MAX_ARRIVING:
            raise TooManyRequests(
                "Too many of your bodies are on their way.", retry_after_seconds=1
            )
        if more and arriving.total() >= MAX_ARRIVING_TOGETHER:
            raise Unavailable("Too many bodies are on their way at the moment; try again.")
        self._is_arriving = more
        arriving[self._caller] += 1 if more else -1
        if not arriving[self._caller]:
            del arriving[self._caller]

    async def check(self) -> None:
        """Raises `refusal`, such as PayloadTooLarge, once the body is known to deserve it."""
        if self._left < 0:
            await self._drain()
            raise self._refusal

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            self._left -= size
            self._hold(size)
            self._refuse_vast()
            if self._left < 0:
                if message.get("more_body", False):
                    await self._drain()
                raise self._refusal
            self._arriving(more=message.get("more_body", False))
        return message

    async def _drain(self) -> None:
        """Takes in what is still under way, within bounds: a client that is cut off while it
        sends sees a reset instead of the answer, and would repeat the request."""
        left = MAX_DRAINED_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_DRAINED_SECONDS):
                while left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    async def read(self) -> bytes:
        """The whole body. Raises as `receive` does, or ClientDisconnect."""
        chunks: list[bytes] = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(chunks)

    def again(self, body: bytes) -> Receive:
        """Gives a body that was read already once more, then what the client sends next."""
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_again() -> Message:
            return waiting.pop() if waiting else await self._receive()

        return receive_again
