"""The coalescer: one call carries all that wait for a host."""

from __future__ import annotations

import asyncio
from collections import deque

from actors.runtime.ports import HostLost, Transport
from actors.runtime.wire import ASK_AGAIN, Answer, Envelope
from core.telemetry import get_logger

MAX_CALL = 500
CALLS_IN_FLIGHT = 2
# A call that has been silent for so long keeps nobody from starting another: what it carries may
# wait for a slow disk, and what comes now may be refused at once.
STALLED_SECONDS = 0.03
MAX_CALLS = 200

log = get_logger("runtime.lane")


class Lane:
    """From this replica to one incarnation of a host. While its calls are in flight, what comes
    gathers for the next one; a lone command leaves at once. Each command is answered on its own,
    as soon as it is decided."""

    def __init__(self, transport: Transport, host_name: str) -> None:
        self._transport = transport
        self._host_name = host_name
        self._waiting: deque[tuple[Envelope, asyncio.Future[Answer]]] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._open: set[asyncio.Future[Answer]] = set()
        self._closed = False

    def send(self, envelope: Envelope) -> asyncio.Future[Answer]:
        """The answer to come. ASK_AGAIN when the host was lost: the outcome is then unknown."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_result(ASK_AGAIN)
            return future
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        self._waiting.append((envelope, future))
        self._start_call()
        return future

    def close(self) -> None:
        """The host's shards went elsewhere: nobody need wait for its answer."""
        self._closed = True
        self._waiting.clear()
        for future in list(self._open):
            if not future.done():
                future.set_result(ASK_AGAIN)

    def _start_call(self) -> None:
        if self._waiting and self._in_flight < CALLS_IN_FLIGHT and len(self._calls) < MAX_CALLS:
            # The task is a loop of its own: a client that hangs up cancels its handler, never this.
            self._calls.add(asyncio.create_task(self._carry()))
            self._in_flight += 1

    async def _carry(self) -> None:
        """Call after call, as long as something waits and none of them stalls."""
        counts = True

        def stalled() -> None:
            nonlocal counts
            counts = False
            self._in_flight -= 1
            self._start_call()

        try:
            while self._waiting and counts:
                timer = asyncio.get_running_loop().call_later(STALLED_SECONDS, stalled)
                try:
                    await self._call()
                finally:
                    timer.cancel()
        finally:
            # Here and not in a callback of the task, which runs later: who sent in between would
            # take this call for one in flight, and wait for nobody.
            self._calls.discard(asyncio.current_task())
            self._in_flight -= counts
            self._start_call()

    async def _call(self) -> None:
        load = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_CALL))]

        def tell(place: int, answer: Answer) -> None:
            future = load[place][1]
            if not future.done():
                future.set_result(answer)

        try:
            await self._transport.submit(self._host_name, [one for one, _ in load], tell)
        except HostLost:
            pass
        except Exception:
            log.exception("call failed", host=self._host_name)
        for place in range(len(load)):
            tell(place, ASK_AGAIN)
