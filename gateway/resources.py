"""What the gateway needs of the process that it runs in; the composition root provides it."""

from __future__ import annotations

from typing import Protocol

from core.clock import Clock
from gateway.edge import Edge
from store.kit.engine import Database
from store.kit.redis import Redis


class Resources(Protocol):
    """Found at `request.app.state.resources`. `start` and `stop` frame the application's life; they
    must not fail because a server is away: `/ready` reports that."""

    @property
    def db(self) -> Database: ...

    @property
    def redis(self) -> Redis: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def edge(self) -> Edge: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...
