"""A replica's stream to one process of a host: made anew when it ends, ever more seldom while
that is in vain."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from actors.runtime.ports import HostLost
from actors.runtime.stream import Stream
from core.telemetry import get_logger

FIRST_PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 5.0

log = get_logger("runtime.link")

Connect = Callable[[], Awaitable[Stream | None]]


class Link:
    """`connect` makes a stream, or None where there never will be one; `made` is called when it
    has."""

    def __init__(self, connect: Connect, made: Callable[[], None]) -> None:
        self._connect = connect
        self._made = made
        self._stream: Stream | None = None
        self._trying: asyncio.Task[None] | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._next_try_seconds = 0.0
        self._closed = False

    def stream(self) -> Stream | None:
        """The stream if there is one; otherwise it is seen to, but not waited for."""
        if self._stream is not None:
            if not self._stream.lost:
                return self._stream
            if self._stream.was_heard:
                self._pause_seconds = FIRST_PAUSE_SECONDS
            self._stream = None
        now = asyncio.get_running_loop().time()
        if self._trying is None and not self._closed and now >= self._next_try_seconds:
            self._next_try_seconds = now + self._pause_seconds * random.uniform(0.5, 1.5)  # noqa: S311
            self._pause_seconds = min(self._pause_seconds * 2, MAX_PAUSE_SECONDS)
            self._trying = asyncio.create_task(self._try())
        return None

    async def _try(self) -> None:
        try:
            self._stream = await self._connect()
        except HostLost as error:
            log.debug("no stream", reason=str(error))
        except Exception:
            log.exception("no stream")
        else:
            if self._stream is None:
                self._closed = True
            elif self._closed:
                self._stream.drop("nobody needs it")
            else:
                self._made()
        finally:
            self._trying = None

    def close(self) -> None:
        self._closed = True
        if self._stream is not None:
            self._stream.drop("its host was left")
