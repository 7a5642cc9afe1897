"""Calls over Ray: one carries all that wait for a host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from actors.runtime.ports import HostLost, Transport
from actors.runtime.wire import ASK_AGAIN, Answer, Envelope
from core.telemetry import get_logger

CALLS_IN_FLIGHT = 2
# A call that has been silent for so long keeps nobody from starting another: what it carries may
# wait for a slow disk, and what comes now may be refused at once.
STALLED_SECONDS = 0.03
MAX_CALLS = 200

log = get_logger("runtime.calling")

Waiter = asyncio.Future[Answer]
Load = list[tuple[Envelope, Waiter]]


class Calling:
    """While calls are in flight, what comes gathers for the next one; a lone command leaves at
    once. `take` gives what waits, perhaps nothing; `deliver` is called with each answer as it
    comes."""

    def __init__(
        self,
        transport: Transport,
        host_name: str,
        take: Callable[[], Load],
        deliver: Callable[[Waiter, Answer], None],
    ) -> None:
        self._transport = transport
        self._host_name = host_name
        self._take = take
        self._deliver = deliver
        self._calls: set[asyncio.Task[None]] = set()
        self._in_flight = 0

    def start(self) -> None:
        """To be called when something waits."""
        if self._in_flight < CALLS_IN_FLIGHT and len(self._calls) < MAX_CALLS:
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
            self.start()

        try:
            while counts and (load := self._take()):
                timer = asyncio.get_running_loop().call_later(STALLED_SECONDS, stalled)
                try:
                    await self._call(load)
                finally:
                    timer.cancel()
        finally:
            # Here and not in a callback of the task, which runs later: a caller that sent in
            # between would take this call for one in flight, and wait for nobody.
            self._calls.discard(asyncio.current_task())
            self._in_flight -= counts
            if not counts:
                self.start()  # there may have been too many calls when this one stalled

    async def _call(self, load: Load) -> None:
        def deliver(place: int, answer: Answer) -> None:
            self._deliver(load[place][1], answer)

        try:
            await self._transport.submit(
                self._host_name, [envelope for envelope, _ in load], deliver
            )
        except HostLost:
            pass
        except Exception:
            log.exception("call failed", host=self._host_name)
        for _, waiter in load:
            self._deliver(waiter, ASK_AGAIN)
