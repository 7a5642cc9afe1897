"""What a host and the keeper see of the simulated database: calls that take time, get lost on
the way there or on the way back, or arrive after their sender was cut off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from actors.stock import model as m
from store.hosts.command_log import Logged
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import AlreadyDecided, Fenced, Rejected
from store.hosts.leases import Incarnation, Lease, Shard
from store.hosts.trimming import Trimmed
from store.hosts.wishes import Wishes
from tests.sim.database import Session, SimDatabase
from tests.sim.reads import answer

T = TypeVar("T")
Work = Callable[[Session], T | Awaitable[T]]


@dataclass
class Weather:
    """How bad the network is; probabilities per trip. `late`: of those statements whose sender is
    cut off, how many arrive all the same."""

    rng: random.Random
    cut: float = 0.0
    late: float = 0.5
    slow: float = 0.0

    def strikes(self, probability: float) -> bool:
        return self.rng.random() < probability

    async def travel(self) -> None:
        seconds = self.rng.uniform(0.0002, 0.002)
        if self.strikes(self.slow):
            seconds = self.rng.uniform(0.05, 3.0)
        await asyncio.sleep(seconds)


class _Line:
    """One connection of a host."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.session: Session | None = None


class SimStore:
    """See `actors.runtime.ports.Store`. `awake` is the process's: while it is stopped, nothing is
    sent, and nothing that came is read."""

    def __init__(self, database: SimDatabase, host: Incarnation, weather: Weather) -> None:
        self.host = host
        self._database = database
        self._weather = weather
        self._commits, self._renewals, self._errands = _Line(), _Line(), _Line()
        self._timers, self._loads, self._questions = _Line(), _Line(), _Line()
        self._lines = (
            self._commits,
            self._renewals,
            self._errands,
            self._timers,
            self._loads,
            self._questions,
        )
        self.awake = asyncio.Event()
        self.awake.set()
        self.dead = False
        self._late: set[asyncio.Task[None]] = set()

    def sever(self) -> None:
        """The process is dead: its sockets close, which the server notices sooner or later."""
        self.dead = True
        for line in self._lines:
            self._cut_off(line)

    def _cut_off(self, line: _Line, late: Work[Any] | None = None) -> None:
        session, line.session = line.session, None
        if session is not None and session.alive:
            task = asyncio.create_task(self._server_side(session, late))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

    async def _server_side(self, session: Session, late: Work[Any] | None) -> None:
        """What the server still does for a client that is gone."""
        rng = self._weather.rng
        await asyncio.sleep(rng.choice((0.001, 0.03, 0.3, 1.0)))
        with suppress(OutcomeUnknown, Fenced, AlreadyDecided, Rejected):
            if late is not None:
                self._database.check(session)
                result = late(session)
                if isinstance(result, Awaitable):
                    await result
        await asyncio.sleep(rng.choice((0.0, 0.5, 3.0)))
        self._database.end(session)

    async def _trip(self, line: _Line, work: Work[Any] | None = None) -> None:
        """One way. Raises OutcomeUnknown when the connection is cut on it."""
        await self.awake.wait()
        await self._weather.travel()
        await self.awake.wait()
        if self.dead or line.session is None:
            raise OutcomeUnknown
        if self._weather.strikes(self._weather.cut):
            self._cut_off(line, work if self._weather.strikes(self._weather.late) else None)
            raise OutcomeUnknown

    async def _ask(self, line: _Line, work: Work[T]) -> T:
        """There, done, and back; on a connection that is there already."""
        await self._trip(line, work)
        session = line.session
        assert session is not None
        self._database.check(session)
        result = work(session)
        if isinstance(result, Awaitable):
            result = await result
        await self._trip(line)
        return result

    async def _connected(self, line: _Line) -> None:
        if line.session is None or not line.session.alive:
            await self.awake.wait()
            await self._weather.travel()
            if self.dead:
                raise OutcomeUnknown
            line.session = self._database.connect(self.host.id)

    async def _once(self, line: _Line, work: Work[T]) -> T:
        async with line.turn:
            await self._connected(line)
            return await self._ask(line, work)

    async def register(self) -> list[Incarnation]:
        return await self._once(self._errands, lambda _: self._database.register(self.host))

    async def expire(self, host_ids: Iterable[UUID]) -> None:
        chosen = list(host_ids)
        await self._once(self._errands, lambda _: self._database.expire(chosen))

    async def renew(self, decided_at_ms: int) -> int | None:
        return await self._once(
            self._renewals, lambda _: self._database.renew(self.host.id, decided_at_ms)
        )

    async def owned(self) -> dict[Shard, Lease]:
        return await self._once(self._errands, lambda _: self._database.owned(self.host.id))

    async def hand_over(
        self, epochs: Mapping[Shard, int], successor: UUID, last_decided_ms: Mapping[Shard, int]
    ) -> None:
        await self._once(
            self._errands,
            lambda _: self._database.hand_over(self.host.id, epochs, successor, last_decided_ms),
        )

    async def recover(self) -> None:
        for line in self._lines:
            if line is not self._renewals:
                self._cut_off(line)
        await self._once(self._commits, lambda _: self._database.raise_epochs(self.host.id))

    async def load(self, loader: Any, keys: Sequence[Any]) -> dict[Any, Any]:
        return await self._once(self._loads, lambda _: self._rows(keys))

    async def ask(self, loader: Any, keys: Sequence[Any]) -> dict[Any, Any]:
        return await self._once(self._questions, lambda _: self._rows(keys))

    def _rows(self, keys: Sequence[Any]) -> dict[Any, Any]:
        tables = self._database.tables
        rows = {key: answer(tables, key) for key in keys}
        return {key: row for key, row in rows.items() if row is not None}

    async def due(
        self, loader: Any, after_ms: Mapping[int, int], until_ms: int, at_most: int
    ) -> list[tuple[int, Any]]:
        def rows(_: Session) -> list[tuple[int, Any]]:
            found: dict[int, list[tuple[int, Any]]] = {shard: [] for shard in after_ms}
            for row in self._database.tables.of("reservations", status=m.Status.OPEN):
                shard, due_ms = row["shard"], row["expires_at"] + m.GRACE_MS
                if shard in after_ms and after_ms[shard] < due_ms <= until_ms:
                    expiry = (m.RESERVATION, row["expires_at"], row["tenant_id"], row["id"])
                    found[shard].append((shard, expiry))
            return [timer for some in found.values() for timer in _next(some, at_most)]

        return await self._once(self._timers, rows)

    async def known(self, command_ids: Sequence[UUID]) -> dict[UUID, Logged]:
        def lines(_: Session) -> dict[UUID, Logged]:
            log = self._database.log
            return {command_id: log[command_id] for command_id in command_ids if command_id in log}

        return await self._once(self._loads, lines)

    async def commit(
        self,
        epochs: Mapping[Shard, int],
        writes: Sequence[tuple[Any, Any]],
        log: Sequence[Logged],
        unsure: Sequence[UUID] = (),
        lock_timeout_ms: int = 0,
    ) -> None:
        rows = [row for _, row in writes]

        def work(session: Session) -> Awaitable[None]:
            return self._database.commit(session, epochs, rows, log, unsure, self._weather.travel)

        await self._once(self._commits, work)


class SimKeeperStore:
    """See `actors.runtime.keeper.KeeperStore`."""

    def __init__(self, database: SimDatabase, shards: int, weather: Weather) -> None:
        self._database = database
        self._shards = shards
        self._weather = weather

    async def _step(self) -> None:
        await self._weather.travel()
        if not self._database.up or self._weather.strikes(self._weather.cut):
            raise OutcomeUnknown

    async def beat(self, keeper_id: UUID, *, first: bool) -> int | None:
        await self._step()
        return self._database.now_ms()

    async def create_shards(self, families: Iterable[str]) -> int:
        await self._step()
        return self._shards

    async def live_hosts(self) -> dict[Incarnation, list[Shard]]:
        await self._step()
        now_ms = self._database.now_ms()
        return {
            row.incarnation: list(self._database.owned(row.incarnation.id))
            for row in self._database.hosts.values()
            if not (row.lost or row.superseded) and row.expires_ms > now_ms
        }

    async def ownerless(self) -> list[Shard]:
        await self._step()
        found = []
        for shard, row in self._database.leases.items():
            owner = self._database.hosts.get(row.host_id) if row.host_id else None
            if owner is None or owner.lost or owner.expires_ms <= self._database.now_ms():
                found.append(shard)
        return found

    async def mark_lost(self) -> list[UUID]:
        await self._step()
        return self._database.mark_lost()

    async def take(self, assignments: Mapping[Shard, UUID]) -> None:
        await self._step()
        self._database.terminate_lost()
        await self._step()
        await self._database.give(assignments)
        await self._step()

    async def wishes(self) -> Wishes:
        return Wishes({}, frozenset())

    async def rotate_command_log(self) -> bool:
        return True

    async def trim_outbox(self) -> Trimmed:
        return Trimmed(0, frozenset())


def _next(found: list[tuple[int, Any]], at_most: int) -> list[tuple[int, Any]]:
    """The earliest, with all that are as late as the last of them."""
    times = sorted(row[1] for _, row in found)
    return [timer for timer in found if len(times) <= at_most or timer[1][1] <= times[at_most - 1]]
