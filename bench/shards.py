"""A host that owns every shard, without Ray and without a keeper."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from actors.families import COMMERCE, FAMILIES, encode_command
from actors.runtime.host import MAX_CLOCK_SKEW_MS, Host
from actors.runtime.lease import in_thread
from actors.runtime.wire import Envelope
from actors.runtime.wire import shard_of as shard_number
from actors.stock import model as m
from core.clock import SystemClock
from core.garbage import collect_seldom
from core.ids import uuid7
from store.hosts.journal import HostStore
from store.hosts.keeping import KeeperStore
from store.hosts.leases import Incarnation

# Of a new installation.
SHARDS = 256
DEADLINE_MS = 60_000
_clock = SystemClock()
_aside = in_thread("bench-lease")


def host_store(url: str) -> HostStore:
    """The store of a host in this process. `url` is the host role's."""
    return HostStore(url, Incarnation(uuid7(), "bench", "bench", os.getpid()))


async def take_all(url: str, store: HostStore, families: Iterable[str]) -> None:
    """Gives every shard to the host of `store`, which has registered."""
    keeper = KeeperStore(url)
    try:
        await keeper.create_shards(families)
        await keeper.mark_lost()
        await keeper.take(dict.fromkeys(await keeper.ownerless(), store.host.id))
    finally:
        await keeper.close()


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[Host]:
    """A host as `HostActor` has it, its lease renewed in a thread of its own, which serves every
    shard until the block ends. `url` is the host role's."""
    store = host_store(url)
    host = Host(store, FAMILIES, SystemClock(), lambda: None, _aside)
    await host.start()
    try:
        await take_all(url, store, FAMILIES)
        await host.sync()
        collect_seldom()
        # What has arrived before might have been decided by another host, and is looked up.
        await asyncio.sleep(MAX_CLOCK_SKEW_MS / 1000)
        yield host
    finally:
        await host.stop()
        # Its connection lives in the thread.
        await _aside(store._renewals.close())
        await store.close()


def envelope(
    tenant_id: UUID, principal: str, body: bytes, *, read: bool = False, shards: int = SHARDS
) -> Envelope:
    """A command that arrives now, under a key of its own, as the bus addresses it."""
    now_ms = _clock.now_ms()
    return Envelope(
        COMMERCE,
        shard_number(tenant_id, shards),
        tenant_id,
        uuid4(),
        bytes(32),
        principal,
        now_ms,
        now_ms + DEADLINE_MS,
        read,
        False,
        body,
    )


async def warm(
    host: Host, tenant_id: UUID, products: Iterable[UUID], *, shards: int = SHARDS
) -> None:
    """Has levels loaded, as they are on a host that has run for a while."""
    everything = list(products)
    for start in range(0, len(everything), m.MAX_LINES):
        some = encode_command(m.GetLevels(tuple(everything[start : start + m.MAX_LINES])))
        await host.submit([envelope(tenant_id, "bench", some, read=True, shards=shards)])
