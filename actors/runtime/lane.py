"""The coalescer: one call carries all that wait for a host."""

from __future__ import annotations

import asyncio
from collections import deque

from actors.runtime.ports import HostLost, Transport
from actors.runtime.wire import Answer, Envelope, Outcome
from core.telemetry import get_logger

MAX_CALL = 500
CALLS_IN_FLIGHT = 2

_ASK_AGAIN = Answer(Outcome.ASK_AGAIN)

log = get_logger("runtime.lane")


class Lane:
    """From this replica to one incarnation of a host. While its calls are in flight, what comes
    gathers for the next one; a lone command leaves at once."""

    def __init__(self, transport: Transport, host_name: str) -> None:
        self._transport = transport
        self._host_name = host_name
        self._waiting: deque[tuple[Envelope, asyncio.Future[Answer]]] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.Future[Answer]] = set()
        self._closed = False

    def send(self, envelope: Envelope) -> asyncio.Future[Answer]:
        """The answer to come. ASK_AGAIN when the host was lost: the outcome is then unknown."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_result(_ASK_AGAIN)
            return future
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        self._waiting.append((envelope, future))
        if len(self._calls) < CALLS_IN_FLIGHT:
            self._start_call()
        return future

    def close(self) -> None:
        """The host's shards went elsewhere: nobody need wait for its answer."""
        self._closed = True
        self._waiting.clear()
        for future in list(self._open):
            if not future.done():
                future.set_result(_ASK_AGAIN)

    def _start_call(self) -> None:
        # The task is a loop of its own: a client that hangs up cancels its handler, never this.
        self._calls.add(asyncio.create_task(self._call()))

    async def _call(self) -> None:
        try:
            while self._waiting:
                load = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_CALL))]
                answers = await self._submit([envelope for envelope, _ in load])
                for (_, future), answer in zip(load, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
        finally:
            # Here and not in a callback of the task, which runs later: who sent in between would
            # take this call for one in flight, and wait for nobody.
            self._calls.discard(asyncio.current_task())

    async def _submit(self, envelopes: list[Envelope]) -> list[Answer]:
        try:
            return await self._transport.submit(self._host_name, envelopes)
        except HostLost:
            pass
        except Exception:
            log.exception("call failed", host=self._host_name)
        return [_ASK_AGAIN] * len(envelopes)
