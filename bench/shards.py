"""A host that owns every shard, without Ray and without a keeper."""

from __future__ import annotations

import os
from collections.abc import Iterable

from core.ids import uuid7
from store.journal import HostStore
from store.keeping import KeeperStore
from store.leases import Incarnation


def host_store(url: str) -> HostStore:
    """The store of a host in this process. `url` is the host role's."""
    return HostStore(url, Incarnation(uuid7(), "bench", "bench", os.getpid()))


async def take_all(url: str, store: HostStore, families: Iterable[str]) -> None:
    """Gives every shard to the host of `store`, which has registered."""
    keeper = KeeperStore(url)
    try:
        await keeper.create_shards(families)
        await keeper.lose()
        await keeper.take(dict.fromkeys(await keeper.ownerless(), store.host.id))
    finally:
        await keeper.close()
