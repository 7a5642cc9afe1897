"""The keeper: sees that hosts exist, that every shard has an owner, and that owners share alike.

It holds no state that matters: two of them, or none for a while, do no harm. What makes a
takeover safe is the database (`store.hosts.leases.take`). It looks at the database alone, and
nothing that it asks of hosts or of housekeeping delays a look: those run aside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol
from uuid import UUID

from actors.runtime.placement import Move, assignments, next_move, takers, unwanted
from core.clock import Clock
from core.ids import uuid7
from core.telemetry import get_logger
from store.hosts.connections import OutcomeUnknown
from store.hosts.leases import Incarnation, Shard
from store.hosts.trimming import Trimmed
from store.hosts.wishes import Wishes

TICK_SECONDS = 0.5
GRACE_AFTER_OUTAGE_SECONDS = 3.0
# A look that takes longer, or comes so much later than it should, is an outage too; and so is a
# clock of the database that leaps so far.
MAX_LAG_SECONDS = 1.0
ROTATE_SECONDS = 60.0
LOOK_FOR_OTHERS_SECONDS = 5.0
# Longer than a host takes to register, or to get its lease back, on a machine that is short of CPU.
OTHERS_WAIT_SECONDS = 60.0

log = get_logger("runtime.keeper")


class KeeperStore(Protocol):
    """`store.hosts.keeping.KeeperStore`, which documents it."""

    async def beat(self, keeper_id: UUID, *, first: bool) -> int | None: ...

    async def create_shards(self, families: Iterable[str]) -> int: ...

    async def live_hosts(self) -> dict[Incarnation, list[Shard]]: ...

    async def ownerless(self) -> list[Shard]: ...

    async def wishes(self) -> Wishes: ...

    async def mark_lost(self) -> list[UUID]: ...

    async def take(self, assignments: Mapping[Shard, UUID]) -> None: ...

    async def rotate_command_log(self) -> bool: ...

    async def trim_outbox(self) -> Trimmed: ...


class Hosts(Protocol):
    """The host actors, by name."""

    @property
    def names(self) -> Sequence[str]:
        """Those that there should be."""
        ...

    async def ensure(self) -> None:
        """Creates those that are missing."""
        ...

    async def sync(self, names: Iterable[str]) -> None:
        """Tells hosts to look at what they own; one that does not answer is left alone."""
        ...

    async def hand_over(self, name: str, shards: Sequence[Shard], successor: UUID) -> None:
        """Has a host give shards away. Raises HostLost, or TimeoutError."""
        ...

    async def others(self) -> Collection[str]:
        """Names of hosts that are there and should not be: those of other builds."""
        ...

    async def dismiss(self, name: str) -> None:
        """Ends a host permanently."""
        ...


class Keeper:
    def __init__(
        self, store: KeeperStore, hosts: Hosts, families: Iterable[str], clock: Clock
    ) -> None:
        self._store = store
        self._hosts = hosts
        self._families = tuple(families)
        self._clock = clock
        self._id = uuid7()
        self._takes_from_seconds = float("-inf")
        self._prepared = False
        self._has_kept = False
        self._rotated_at_seconds = float("-inf")
        self._looked_for_others_seconds = float("-inf")
        # Hosts of other builds that hold no lease: since when, as far as this keeper has looked.
        self._idle_since_seconds: dict[str, float] = {}
        self._database_ahead_seconds: float | None = None
        self._aside: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Keeps until the process ends. No failure ends it."""
        try:
            while True:
                await self._tick_despite_errors()
                rested_at_seconds = self._clock.boot_seconds()
                await asyncio.sleep(TICK_SECONDS)
                self._notice_lag(rested_at_seconds + TICK_SECONDS)
        finally:
            for task in self._aside.values():
                task.cancel()
            await asyncio.gather(*self._aside.values(), return_exceptions=True)

    async def _tick_despite_errors(self) -> None:
        try:
            await self.tick()
        except OutcomeUnknown as error:
            self._let_hosts_renew()
            self._idle_since_seconds = {}
            log.warning("the database cannot be reached", reason=repr(error.__cause__))
        except Exception:
            log.exception("keeper failed")

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

    def _notice_leap(self, database_now_ms: int) -> None:
        """Leases end by the database's clock: one that was set makes all of them end at once."""
        ahead_seconds = database_now_ms / 1000 - self._clock.boot_seconds()
        before = self._database_ahead_seconds
        if before is not None and abs(ahead_seconds - before) > MAX_LAG_SECONDS:
            log.warning("the database's clock leapt", seconds=round(ahead_seconds - before))
            self._let_hosts_renew()
        self._database_ahead_seconds = ahead_seconds

    async def tick(self) -> None:
        """One look at everything. The beat comes first: nothing that fails further on makes the
        keeper look dead."""
        database_now_ms = await self._store.beat(self._id, first=not self._has_kept)
        if database_now_ms is None:
            self._idle_since_seconds = {}
            return  # a younger one keeps, of a younger build perhaps
        self._has_kept = True
        self._notice_leap(database_now_ms)
        self._begin("hosts", self._hosts.ensure)
        if not self._prepared:
            await self._store.create_shards(self._families)
            self._prepared = True
        asked_at_seconds = self._clock.boot_seconds()
        live = await self._store.live_hosts()
        ownerless = await self._store.ownerless()
        wishes = await self._store.wishes()
        self._notice_lag(asked_at_seconds)
        may_take = self._clock.boot_seconds() >= self._takes_from_seconds
        if may_take and (lost := await self._store.mark_lost()):
            log.warning("hosts were lost", hosts=len(lost))
        able = takers(live, self._hosts.names, wishes)
        if ownerless and able and may_take:
            await self._store.take(assignments(ownerless, live, able, wishes))
            log.info("gave shards", shards=len(ownerless), hosts=len(able))
            self._begin("sync", partial(self._hosts.sync, [host.name for host in live]))
        elif not ownerless and able:
            self._arrange(live, able, wishes)
        if self._clock.boot_seconds() - self._looked_for_others_seconds > LOOK_FOR_OTHERS_SECONDS:
            self._looked_for_others_seconds = self._clock.boot_seconds()
            self._begin("others", partial(self._dismiss_idle, {host.name for host in live}))
        if self._clock.boot_seconds() - self._rotated_at_seconds > ROTATE_SECONDS:
            self._rotated_at_seconds = self._clock.boot_seconds()
            self._begin("rotation", self._rotate)
            self._begin("trimming", self._trim)

    def _arrange(
        self,
        live: Mapping[Incarnation, list[Shard]],
        able: Sequence[Incarnation],
        wishes: Wishes,
    ) -> None:
        """Moves a few shards, and ends hosts that have none and are to be no more."""
        move = next_move(live, able, wishes)
        if move is not None:
            self._begin("move", partial(self._move, move))
        for name in unwanted(live, able, self._hosts.names):
            log.info("dismissing a host", host=name)
            self._begin(f"dismissal of {name}", partial(self._hosts.dismiss, name))

    async def _move(self, move: Move) -> None:
        await self._hosts.hand_over(move.source.name, move.shards, move.target.id)
        await self._hosts.sync([move.target.name])
        log.info(
            "moved shards",
            shards=len(move.shards),
            source=move.source.name,
            target=move.target.name,
        )

    async def _dismiss_idle(self, live: Collection[str]) -> None:
        """Ends hosts of other builds that have held no lease for long: one that nobody woke, as its
        keeper was gone, never registers, and a deployment would wait for its end indefinitely."""
        idle = set(await self._hosts.others()) - set(live)
        now = self._clock.boot_seconds()
        self._idle_since_seconds = {
            name: self._idle_since_seconds.get(name, now) for name in sorted(idle)
        }
        for name, since_seconds in self._idle_since_seconds.items():
            if now - since_seconds > OTHERS_WAIT_SECONDS:
                log.info("dismissing a host without a lease", host=name)
                await self._hosts.dismiss(name)

    async def _rotate(self) -> None:
        if not await self._store.rotate_command_log():
            log.info("the command log waits for somebody who reads it")

    async def _trim(self) -> None:
        trimmed = await self._store.trim_outbox()
        if trimmed.missed_by:
            log.warning("consumers missed events", consumers=sorted(trimmed.missed_by))

    def _begin(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Does `work` aside, unless the same is still at it."""
        before = self._aside.get(what)
        if before is None or before.done():
            self._aside[what] = asyncio.create_task(self._carefully(what, work))

    async def _carefully(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            # A host that is stopped, a Ray that does not answer: the next look tries again.
            log.warning("keeping failed", what=what, reason=repr(error.__cause__ or error))
