"""Who owns which shard, as a replica last read it from the leases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from uuid import UUID

from core.clock import Clock
from store.hosts.leases import Owned, Shard

MIN_REFRESH_SECONDS = 0.1


class Owner(NamedTuple):
    """A host's name, and which of its processes is meant."""

    name: str
    incarnation: UUID


Read = Callable[[], Awaitable[tuple[int, Mapping[Shard, Owned]]]]


class Directory:
    """Shard to owner. May be stale: a host that is asked wrongly says so, and then it is read
    again; many who notice at once share one reading."""

    def __init__(self, read: Read, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._owners: dict[Shard, Owner] = {}
        self._epochs: dict[Shard, int] = {}
        self._current: frozenset[Owner] = frozenset()
        self._shards = 0
        self._read_at_seconds = float("-inf")
        self._reading = asyncio.Lock()

    async def shards(self) -> int:
        """Shards per family, fixed at installation."""
        if not self._shards:
            await self.refresh(float("-inf"))
        return self._shards

    def owner(self, shard: Shard) -> Owner | None:
        return self._owners.get(shard)

    def epoch(self, shard: Shard) -> int:
        """Of the owner's tenure; 0 when there is none."""
        return self._epochs.get(shard, 0)

    @property
    def owners(self) -> frozenset[Owner]:
        """All that own a shard."""
        return self._current

    async def refresh(self, seen_seconds: float) -> None:
        """Reads again, unless that happened since `seen_seconds` (on the boot clock) or just
        now. Raises what `read` raises when the database cannot be asked."""
        async with self._reading:
            now = self._clock.boot_seconds()
            if self._read_at_seconds > seen_seconds or now - self._read_at_seconds < (
                MIN_REFRESH_SECONDS
            ):
                return
            shards, owners = await self._read()
            self._read_at_seconds = self._clock.boot_seconds()
            self._shards = shards
            self._owners = {
                shard: Owner(owner.host_name, owner.host_id) for shard, owner in owners.items()
            }
            self._epochs = {shard: owner.epoch for shard, owner in owners.items()}
            self._current = frozenset(self._owners.values())
