"""The keeper: sees that hosts exist, that every shard has an owner, and that owners share alike.

It holds no state that matters: two of them, or none for a while, do no harm. What makes a
takeover safe is the database (`store.leases.take`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from core.clock import Clock
from core.telemetry import get_logger
from store.journal import OutcomeUnknown
from store.leases import Incarnation, Shard

TICK_SECONDS = 0.5
GRACE_AFTER_OUTAGE_SECONDS = 3.0
# A look that takes longer, or comes so much later than it should, is an outage too.
MAX_LAG_SECONDS = 1.0
MAX_MOVES_PER_TICK = 32
ROTATE_SECONDS = 3600.0

log = get_logger("runtime.keeper")


class KeeperStore(Protocol):
    """`store.keeping.KeeperStore`, which documents it."""

    async def beat(self) -> None: ...

    async def create_shards(self, families: Iterable[str]) -> int: ...

    async def live_hosts(self) -> dict[Incarnation, list[Shard]]: ...

    async def ownerless(self) -> list[Shard]: ...

    async def lose(self) -> list[UUID]: ...

    async def take(self, gifts: Mapping[Shard, UUID]) -> None: ...

    async def rotate_command_log(self) -> None: ...


class Hosts(Protocol):
    """The host actors, by name."""

    async def ensure(self) -> None:
        """Creates those that are missing."""
        ...

    async def sync(self, names: Iterable[str]) -> None:
        """Tells hosts to look at what they own; one that does not answer is left alone."""
        ...

    async def hand_over(self, name: str, shards: Sequence[Shard], successor: UUID) -> None:
        """Has a host give shards away. Raises HostLost."""
        ...


class Keeper:
    def __init__(
        self, store: KeeperStore, hosts: Hosts, families: Iterable[str], clock: Clock
    ) -> None:
        self._store = store
        self._hosts = hosts
        self._families = tuple(families)
        self._clock = clock
        self._takes_from_seconds = float("-inf")
        self._prepared = False
        self._rotated_at_seconds = float("-inf")

    async def run(self) -> None:
        """Keeps, for good. No failure ends it."""
        while True:
            try:
                await self.tick()
            except OutcomeUnknown as error:
                self._let_hosts_renew()
                log.warning("the database cannot be reached", reason=repr(error.__cause__))
            except Exception:
                log.exception("keeper failed")
            rested_at_seconds = self._clock.boot_seconds()
            await asyncio.sleep(TICK_SECONDS)
            self._notice_lag(rested_at_seconds + TICK_SECONDS)

    def _let_hosts_renew(self) -> None:
        """Hosts that missed renewals through no fault of theirs (the database stood still, or
        the whole machine did) first get to renew."""
        self._takes_from_seconds = self._clock.boot_seconds() + GRACE_AFTER_OUTAGE_SECONDS

    def _notice_lag(self, due_seconds: float) -> None:
        """To wait once is enough: a database that is always slow must not put off takeovers for
        good."""
        now = self._clock.boot_seconds()
        waited_lately = now < self._takes_from_seconds + GRACE_AFTER_OUTAGE_SECONDS
        if now > due_seconds + MAX_LAG_SECONDS and not waited_lately:
            self._let_hosts_renew()

    async def tick(self) -> None:
        """One look at everything."""
        await self._hosts.ensure()
        if not self._prepared:
            await self._store.create_shards(self._families)
            self._prepared = True
        asked_at_seconds = self._clock.boot_seconds()
        live = await self._store.live_hosts()
        ownerless = await self._store.ownerless()
        self._notice_lag(asked_at_seconds)
        may_take = self._clock.boot_seconds() >= self._takes_from_seconds
        if may_take and (lost := await self._store.lose()):
            log.warning("hosts were lost", hosts=len(lost))
        if ownerless and live and may_take:
            await self._give(ownerless, live)
        elif not ownerless and len(live) > 1:
            await self._balance(live)
        # Last: shards without an owner must not wait for housekeeping, whatever ails it.
        if self._clock.boot_seconds() - self._rotated_at_seconds > ROTATE_SECONDS:
            await self._store.rotate_command_log()
            self._rotated_at_seconds = self._clock.boot_seconds()
        await self._store.beat()

    async def _give(
        self, ownerless: Sequence[Shard], live: Mapping[Incarnation, list[Shard]]
    ) -> None:
        """Takes shards from the dead, and gives them to those who have least."""
        load = {host: len(shards) for host, shards in live.items()}
        gifts = {}
        for shard in ownerless:
            poorest = min(load, key=lambda host: load[host])
            gifts[shard] = poorest.id
            load[poorest] += 1
        await self._store.take(gifts)
        log.info("gave shards", shards=len(gifts), hosts=len(live))
        await self._hosts.sync([host.name for host in live])

    async def _balance(self, live: Mapping[Incarnation, list[Shard]]) -> None:
        """Moves a few shards from the richest to the poorest, so that a host that came back
        carries its share again."""
        richest = max(live, key=lambda host: len(live[host]))
        poorest = min(live, key=lambda host: len(live[host]))
        surplus = (len(live[richest]) - len(live[poorest])) // 2
        if surplus < 1:
            return
        moving = live[richest][: min(surplus, MAX_MOVES_PER_TICK)]
        await self._hosts.hand_over(richest.name, moving, poorest.id)
        await self._hosts.sync([poorest.name])
        log.info("moved shards", shards=len(moving), source=richest.name, target=poorest.name)
