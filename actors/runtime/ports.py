"""What the runtime takes from outside, so that all of it can be simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from actors.runtime.directory import Owner
from actors.runtime.stream import Deliver, Stream
from actors.runtime.wire import Answer, Envelope
from store.hosts.command_log import Logged
from store.hosts.journal import Loader
from store.hosts.leases import Incarnation, Lease, Shard


class Store(Protocol):
    """Durable storage as a host needs it: `store.hosts.journal.HostStore`, which documents it."""

    async def register(self) -> list[Incarnation]: ...

    async def expire(self, host_ids: Iterable[UUID]) -> None: ...

    async def renew(self, decided_at_ms: int) -> int | None: ...

    async def owned(self) -> Mapping[Shard, Lease]: ...

    async def hand_over(
        self, epochs: Mapping[Shard, int], successor: UUID, last_decided_ms: Mapping[Shard, int]
    ) -> None: ...

    async def recover(self) -> None: ...

    async def load(self, loader: Loader, keys: Sequence[Any]) -> Mapping[Any, Any]: ...

    async def ask(self, loader: Loader, keys: Sequence[Any]) -> Mapping[Any, Any]: ...

    async def due(
        self, loader: Loader, after_ms: Mapping[int, int], until_ms: int, at_most: int
    ) -> Sequence[tuple[int, Any]]: ...

    async def known(self, command_ids: Sequence[UUID]) -> Mapping[UUID, Logged]: ...

    async def commit(
        self,
        epochs: Mapping[Shard, int],
        writes: Sequence[tuple[Loader, Any]],
        log: Sequence[Logged],
        unsure: Sequence[UUID] = (),
        lock_timeout_ms: int = ...,
    ) -> None: ...


class Transport(Protocol):
    """How a replica reaches a host: by calls to its name, which come through to whatever process
    has it now, or by a stream to one process."""

    async def submit(
        self, host_name: str, envelopes: Sequence[Envelope], deliver: Callable[[int, Answer], None]
    ) -> None:
        """Delivers each answer, with the place of its envelope, as it comes; returns when all have.
        Raises HostLost when the host cannot be reached or died: the outcome of what was not
        answered is unknown."""
        ...

    async def stream(
        self, owner: Owner, deliver: Deliver, changed: Callable[[], None]
    ) -> Stream | None:
        """A stream to that process, see `stream.Stream`; None where there never will be one.
        Raises HostLost when it cannot be reached that way now."""
        ...


class HostLost(Exception):
    """The call to a host ended without an answer."""
