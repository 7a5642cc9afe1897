"""What a host owns: how it takes shards up, lets them go, and starts over when in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
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
from store.journal import OutcomeUnknown
from store.leases import Shard

RECOVERY_PAUSE_SECONDS = 0.2
# Timers that are read at once.
MAX_READ = 2_000

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
        is taken where that has changed alone: who reads timers may have the connection for as long
        as somebody holds their table, and no command need wait for it."""
        if any(self._tenure.differs(await self._store.owned())):
            async with self.turn:
                await self._adopt()
        for name in self._families:
            mine = sum(shard.family == name for shard in self._tenure.epochs)
            telemetry.SHARDS_OWNED.labels(name).set(mine)

    async def _adopt(self) -> None:
        """Drops what was lost, takes up what was given; the agenda first, so that no hold that
        is due is overlooked. Needs the turn."""
        owned = await self._store.owned()
        drop, take = self._tenure.differs(owned)
        self._release(drop)
        if take:
            # Something may still have been loaded for them in an earlier tenure.
            self._memory.drop(shard.number for shard in take)
            await self._take_up(take)
            self._tenure.take(take, owned)
            log.info("took shards", shards=len(take), total=len(self._tenure.epochs))

    async def _take_up(self, shards: Set[Shard]) -> None:
        """Begins to keep the timers of shards."""
        self.agenda.take_up(shards)
        try:
            await self.look_ahead(dict.fromkeys(shards, 0))
        except BaseException:
            # They are not served yet, so that nobody else would drop them.
            self.agenda.drop(shards)
            raise

    def _release(self, shards: Iterable[Shard]) -> None:
        """Stops serving shards and forgets them. Needs the turn."""
        gone = frozenset(shards)
        if not gone:
            return
        self._tenure.drop(gone)
        self.agenda.drop(gone)
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
                floors_ms = {shard: self._tenure.floors_ms.get(shard, 0) for shard in epochs}
                self._release(epochs)
                try:
                    await self._store.hand_over(epochs, successor, floors_ms)
                except BaseException:
                    # It may happen yet, behind our back: only a new epoch rules that out. The
                    # work loop sees to it, since whoever called may give up waiting.
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
        """Draws horizons forward that have come near."""
        half_ms = min(family.timers_ahead_ms for family in self._families.values()) // 2
        ahead_ms = NEAR_MS if self.agenda.is_full else half_ms
        if behind := self.agenda.behind(self._tenure.epochs, self._clock.now_ms() + ahead_ms):
            await self.look_ahead({shard: self.agenda.horizon_ms(shard) for shard in behind})

    async def look_ahead(self, after_ms: Mapping[Shard, int]) -> None:
        """Asks the database what falls due soon in these shards, later than a time for each."""
        async with self._reading:
            for name, family in self._families.items():
                # Horizons may have drawn near since they were looked at.
                mine = {
                    shard: min(ms, self.agenda.horizon_ms(shard))
                    for shard, ms in after_ms.items()
                    if shard.family == name
                }
                near_ms = self._clock.now_ms() + NEAR_MS
                far_ms = self._clock.now_ms() + family.timers_ahead_ms
                until_ms = near_ms if self.agenda.is_full else far_ms
                while mine:
                    mine = await self._read_timers(family, mine, until_ms)
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
        except BaseException:
            for shard, ms in after_ms.items():
                self.agenda.extend([shard], min(ms, self.agenda.horizon_ms(shard)))
            raise
        timers: dict[Shard, list[Timer]] = {}
        for number, row in rows:
            timers.setdefault(Shard(family.name, number), []).append(family.rules.due(row))
        more = {}
        for shard, found in timers.items():
            if len(found) >= at_most:
                read_ms = sorted(timer.due_ms for timer in found)[at_most - 1]
                self.agenda.extend([shard], min(read_ms, self.agenda.horizon_ms(shard)))
            self.agenda.add((shard, timer) for timer in found)
            # Perhaps it was drawn near meanwhile, or the shard has gone.
            if len(found) >= at_most and (horizon_ms := self.agenda.horizon_ms(shard)):
                more[shard] = horizon_ms
        return more
