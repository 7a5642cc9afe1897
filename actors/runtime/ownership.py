"""What a host owns: how it takes shards up, lets them go, and starts over when in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from uuid import UUID

from actors.runtime.agenda import NEAR_MS, Agenda
from actors.runtime.family import Families, Family, Timer
from actors.runtime.mailbox import Mailbox
from actors.runtime.memory import Memory
from actors.runtime.ports import Store
from actors.runtime.tenure import Tenure
from actors.runtime.wire import ASK_AGAIN
from core import telemetry
from core.clock import Clock
from core.telemetry import get_logger
from store.hosts.connections import OutcomeUnknown
from store.hosts.leases import Shard

RECOVERY_PAUSE_SECONDS = 0.2
# Timers that are read at once.
MAX_READ = 2_000
# How long commands for a shard that was taken up wait for its timers, or for more of them.
TIMERS_WAIT_SECONDS = 1.0

log = get_logger("runtime.ownership")


class Ownership:
    """The shards of one incarnation. `turn` is held while a batch runs, and by whatever changes
    what the host owns. `renew` renews the lease at once."""

    def __init__(
        self,
        store: Store,
        families: Families,
        clock: Clock,
        mailbox: Mailbox,
        memory: Memory,
        tenure: Tenure,
        renew: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._families = families
        self._clock = clock
        self._mailbox = mailbox
        self._memory = memory
        self._tenure = tenure
        self._renew = renew
        self._departing: set[Shard] = set()
        # One who reads timers at a time: a horizon tells what the last one has read.
        self._reading = asyncio.Lock()
        # Shards that were taken up and whose timers are not read yet: until when commands wait.
        self._unread: dict[Shard, float] = {}
        # Shards whose timers could not be read with those of others, in turn.
        self._apart: dict[Shard, None] = {}
        # Set when shards were taken up.
        self.took = asyncio.Event()
        self.agenda = Agenda()
        self.turn = asyncio.Lock()
        self.in_doubt = False

    def serves(self, shard: Shard, epoch: int) -> bool:
        """Whether what was sent to this tenure (0: to any) can be decided now."""
        own = self._tenure.epochs.get(shard)
        return (
            own is not None
            and (epoch == own or epoch == 0)
            and not self.in_doubt
            and shard not in self._departing
            and self._tenure.valid
        )

    def awaits_timers(self, shard: Shard) -> bool:
        """Whether commands for a shard wait, for a while, for what fell due before they came."""
        until_seconds = self._unread.get(shard)
        return until_seconds is not None and self._clock.boot_seconds() < until_seconds

    async def start_over(self, reason: str) -> None:
        """After a fence or an unknown outcome: forgets everything, tells everyone to ask again,
        takes new epochs, and finds out what it still owns. Needs the turn."""
        log.warning("starting over", reason=reason)
        self.in_doubt = True
        for work in self._mailbox.withdraw(lambda work: True):
            self._mailbox.answer(work, ASK_AGAIN)
        self._release(list(self._tenure.epochs))
        self._memory.drop()
        while True:
            try:
                await self._renew()
                await self._store.recover()
                # What was still being loaded may be from before the end of what was in doubt.
                self._memory.drop()
                await self._adopt()
                break
            except OutcomeUnknown:
                await asyncio.sleep(RECOVERY_PAUSE_SECONDS)
            except Exception:
                # Nobody else would end the recovery: to give up here is to refuse permanently.
                log.exception("recovery failed")
                await asyncio.sleep(RECOVERY_PAUSE_SECONDS)
        self.in_doubt = False

    async def sync(self) -> None:
        """Finds out what it owns now. Called once a second, and when the keeper says so. The turn
        is taken where that has changed alone: no command need wait for the question."""
        if any(self._tenure.differs(await self._store.owned())):
            async with self.turn:
                await self._adopt()
        for name in self._families:
            mine = sum(shard.family == name for shard in self._tenure.epochs)
            telemetry.SHARDS_OWNED.labels(name).set(mine)

    async def _adopt(self) -> None:
        """Drops what was lost, takes up what was given. Its timers are read beside the turn:
        somebody may hold their table, and then expiries alone wait for it. Needs the turn."""
        owned = await self._store.owned()
        drop, take = self._tenure.differs(owned)
        self._release(drop)
        if take:
            # Something may still have been loaded for them in an earlier tenure.
            self._memory.drop(shard.number for shard in take)
            self.agenda.take_up(take)
            until_seconds = self._clock.boot_seconds() + TIMERS_WAIT_SECONDS
            self._unread |= dict.fromkeys(take, until_seconds)
            self._tenure.take(take, owned)
            self.took.set()
            log.info("took shards", shards=len(take), total=len(self._tenure.epochs))

    def _release(self, shards: Iterable[Shard]) -> None:
        """Stops serving shards and forgets them. Needs the turn."""
        gone = frozenset(shards)
        if not gone:
            return
        self._tenure.drop(gone)
        self.agenda.drop(gone)
        for shard in gone:
            self._unread.pop(shard, None)
        self._memory.drop(shard.number for shard in gone)
        for work in self._mailbox.withdraw(lambda work: work.shard in gone):
            self._mailbox.answer(work, ASK_AGAIN)

    async def hand_over(self, shards: Sequence[Shard], successor: UUID) -> None:
        """Stops taking commands for `shards`, ends the batch that runs, and gives them away.
        Raises OutcomeUnknown; the host then finds out what it still owns."""
        self._departing.update(shards)
        try:
            async with self.turn:
                owned = self._tenure.epochs
                epochs = {shard: owned[shard] for shard in shards if shard in owned}
                decided_ms = self._tenure.last_decided_ms
                last_decided_ms = {shard: decided_ms.get(shard, 0) for shard in epochs}
                self._release(epochs)
                try:
                    await self._store.hand_over(epochs, successor, last_decided_ms)
                except BaseException:
                    # It may happen yet, behind our back: only a new epoch rules that out. The work
                    # loop sees to it, since the caller may give up waiting.
                    self.in_doubt = True
                    self._mailbox.nudge()
                    raise
                # The successor may have been lost meanwhile: then they are still here.
                self._departing.difference_update(shards)
                await self._adopt()
        finally:
            self._departing.difference_update(shards)

    async def look_around(self) -> None:
        """Once a second."""
        if not self.in_doubt:
            await self.sync()

    async def look_further(self) -> None:
        """Draws horizons forward that have come near, or that are not drawn yet."""
        self.took.clear()
        half_ms = min(family.timers_ahead_ms for family in self._families.values()) // 2
        ahead_ms = NEAR_MS if self.agenda.is_full else half_ms
        if behind := self.agenda.behind(self._tenure.epochs, self._clock.now_ms() + ahead_ms):
            await self.look_ahead(behind)

    async def look_ahead(self, shards: Sequence[Shard]) -> None:
        """Asks the database what falls due soon in these shards, later than their horizons."""
        async with self._reading:
            for name, family in self._families.items():
                if mine := [shard for shard in shards if shard.family == name]:
                    await self._read_despite_errors(family, mine)

    async def _read_despite_errors(self, family: Family, shards: Sequence[Shard]) -> None:
        """All at once. Where that fails or takes too long they are read one by one, until one
        fails again: its next turn comes after those of the others, and of other families."""
        if together := [shard for shard in shards if shard not in self._apart]:
            if await self._could_read(family, together):
                return
            self._apart |= dict.fromkeys(together)
        for shard in [shard for shard in self._apart if shard in shards]:
            del self._apart[shard]
            if not await self._could_read(family, [shard]):
                self._apart[shard] = None
                return

    async def _could_read(self, family: Family, shards: Sequence[Shard]) -> bool:
        try:
            await self._read_on(family, shards)
        except OutcomeUnknown:
            raise
        except Exception as error:
            log.warning("timers could not be read", shards=len(shards), reason=repr(error))
            return False
        return True

    async def _read_on(self, family: Family, shards: Sequence[Shard]) -> None:
        mine = {shard: self.agenda.horizon_ms(shard) for shard in shards}
        near_ms = self._clock.now_ms() + NEAR_MS
        far_ms = self._clock.now_ms() + family.timers_ahead_ms
        until_ms = near_ms if self.agenda.is_full else far_ms
        while mine:
            mine = await self._read_timers(family, mine, until_ms)
            if self.took.is_set():
                return  # commands wait for those that came, too: from now on all are read together
            if self.agenda.is_full:
                mine = {shard: ms for shard, ms in mine.items() if ms < near_ms}

    async def _read_timers(
        self, family: Family, after_ms: Mapping[Shard, int], until_ms: int
    ) -> dict[Shard, int]:
        """Reads a page, the next timers of each shard; returns the shards that have more, and how
        far these have been read."""
        self.agenda.extend(after_ms, until_ms)
        at_most = max(MAX_READ // len(after_ms), 1)
        numbers = {shard.number: ms for shard, ms in after_ms.items()}
        try:
            rows = await self._store.due(family.loader, numbers, until_ms, at_most)
            read = [(Shard(family.name, number), family.rules.due(row)) for number, row in rows]
        except BaseException:
            for shard, ms in after_ms.items():
                self.agenda.extend([shard], min(ms, self.agenda.horizon_ms(shard)))
            raise
        timers: dict[Shard, list[Timer]] = {}
        for shard, timer in read:
            timers.setdefault(shard, []).append(timer)
        more = {}
        for shard, found in timers.items():
            if len(found) >= at_most:
                read_ms = sorted(timer.due_ms for timer in found)[at_most - 1]
                self.agenda.extend([shard], min(read_ms, self.agenda.horizon_ms(shard)))
            self.agenda.add((shard, timer) for timer in found)
            # Perhaps it was drawn near meanwhile, or the shard has gone.
            if len(found) >= at_most and (horizon_ms := self.agenda.horizon_ms(shard)):
                more[shard] = horizon_ms
        for shard in after_ms:
            if self.agenda.horizon_ms(shard) >= self._clock.now_ms():
                self._unread.pop(shard, None)
            elif self.awaits_timers(shard):
                # It has fallen due and is on its way, one page after the other.
                self._unread[shard] = self._clock.boot_seconds() + TIMERS_WAIT_SECONDS
        return more
