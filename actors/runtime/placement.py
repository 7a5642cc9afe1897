"""Which host each shard belongs to: pure, without a database or a host."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from store.hosts.leases import Incarnation, Shard
from store.hosts.wishes import Wishes

MAX_MOVES_AT_ONCE = 32


class Move(NamedTuple):
    """Shards that a host should give to another one."""

    source: Incarnation
    target: Incarnation
    shards: list[Shard]


Live = Mapping[Incarnation, Sequence[Shard]]


def takers(live: Live, names: Collection[str], wishes: Wishes) -> list[Incarnation]:
    """The hosts that may be given shards: those of this build that nobody drains. Where there is
    none of them, any that lives: better there than nowhere."""
    wanted = [host for host in live if host.name in names]
    free = [host for host in wanted if host.name not in wishes.drained]
    return free or wanted or list(live)


def assignments(
    ownerless: Sequence[Shard], live: Live, able: Sequence[Incarnation], wishes: Wishes
) -> dict[Shard, UUID]:
    """Whom to give each shard that nobody owns: where it is pinned to, else who has least."""
    load = {host: len(live[host]) for host in able}
    by_name = {host.name: host for host in able}
    given = {}
    for shard in ownerless:
        poorest = min(load, key=lambda host: load[host])
        owner = by_name.get(wishes.pins.get(shard, ""), poorest)
        given[shard] = owner.id
        load[owner] += 1
    return given


def next_move(live: Live, able: Sequence[Incarnation], wishes: Wishes) -> Move | None:
    """What to move next, if anything: away from hosts that are to be empty, then to where shards
    are pinned, then from the richest to the poorest."""
    poorest = min(able, key=lambda host: len(live[host]))
    for host, shards in live.items():
        if shards and host not in able:
            return Move(host, poorest, list(shards[:MAX_MOVES_AT_ONCE]))
    return _to_pin(live, able, wishes) or _to_share(live, able, poorest, wishes)


def _to_pin(live: Live, able: Sequence[Incarnation], wishes: Wishes) -> Move | None:
    by_name = {host.name: host for host in able}
    for source, shards in live.items():
        for shard in shards:
            target = by_name.get(wishes.pins.get(shard, source.name), source)
            if target is not source:
                return Move(source, target, [shard])
    return None


def _to_share(
    live: Live, able: Sequence[Incarnation], poorest: Incarnation, wishes: Wishes
) -> Move | None:
    """A host that came back carries its share again."""
    richest = max(able, key=lambda host: len(live[host]))
    surplus = (len(live[richest]) - len(live[poorest])) // 2
    names = {host.name for host in able}
    loose = [shard for shard in live[richest] if wishes.pins.get(shard) not in names]
    moving = loose[: min(surplus, MAX_MOVES_AT_ONCE)]
    return Move(richest, poorest, moving) if moving else None


def unwanted(live: Live, able: Sequence[Incarnation], names: Collection[str]) -> list[str]:
    """Names of hosts that have nothing left and are to be no more: of an earlier build, or more
    than are wanted."""
    return [
        host.name
        for host, shards in live.items()
        if not shards and host.name not in names and host not in able
    ]
