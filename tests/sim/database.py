"""Postgres as the runtime knows it, in memory: leases with row locks, transactions that take their
time and may end anywhere, and the constraints that stand when all else fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from actors.composite import Rows
from store.hosts.command_log import Logged
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import AlreadyDecided, Cause, Fenced, Rejected
from store.hosts.leases import LEASE_SECONDS, Incarnation, Lease, Shard
from tests.sim.tables import Tables, places

EPOCH_MS = 1_800_000_000_000
TRANSACTION_SECONDS = 10.0


@dataclass
class HostRow:
    incarnation: Incarnation
    expires_ms: int
    lost: bool = False
    superseded: bool = False
    decided_at_ms: int = 0


@dataclass
class LeaseRow:
    host_id: UUID | None = None
    epoch: int = 0
    decided_at_ms: int = 0
    shared_by: set[int] = field(default_factory=set)


@dataclass
class Transaction:
    rows: list[Rows] = field(default_factory=list)
    log: list[Logged] = field(default_factory=list)

    def keys(self) -> set[Any]:
        """Of the rows that it writes: another transaction that writes one of them waits."""
        return {*places(self.rows), *(line.command_id for line in self.log)}


@dataclass
class Session:
    """One backend. Its locks go when its transaction ends, however that comes about."""

    number: int
    host_id: UUID
    alive: bool = True
    transaction: Transaction | None = None
    locks: set[Shard] = field(default_factory=set)
    seen_seconds: float = 0.0


class SimDatabase:
    """Every method happens at once, but for those that wait for a lock."""

    def __init__(self, now_seconds: Callable[[], float], shards: Sequence[Shard]) -> None:
        self._now_seconds = now_seconds
        self.up = True
        self.hosts: dict[UUID, HostRow] = {}
        self.leases = {shard: LeaseRow() for shard in shards}
        self.tables = Tables()
        self.log: dict[UUID, Logged] = {}
        self.sessions: dict[int, Session] = {}
        self.commits = 0

    def now_ms(self) -> int:
        return EPOCH_MS + int(self._now_seconds() * 1000)

    # --- sessions ------------------------------------------------------------------------------

    def connect(self, host_id: UUID) -> Session:
        if not self.up:
            raise OutcomeUnknown
        session = Session(len(self.sessions), host_id)
        self.sessions[session.number] = session
        return session

    def end(self, session: Session) -> None:
        """The backend is gone, and its transaction with it."""
        session.alive = False
        self._release(session)

    def _release(self, session: Session) -> None:
        for shard in session.locks:
            self.leases[shard].shared_by.discard(session.number)
        session.locks.clear()
        session.transaction = None

    def stop(self) -> None:
        self.up = False
        for session in self.sessions.values():
            self.end(session)

    def check(self, session: Session) -> None:
        """Raises OutcomeUnknown unless the backend still listens."""
        now = self._now_seconds()
        idle = now - session.seen_seconds > TRANSACTION_SECONDS
        if session.transaction is not None and idle:
            self.end(session)
        if not (self.up and session.alive):
            raise OutcomeUnknown
        session.seen_seconds = now

    async def _unlocked(self, shards: Sequence[Shard]) -> None:
        """Waits until nobody shares the rows."""
        await self._wait_for(
            lambda: {number for shard in shards for number in self.leases[shard].shared_by}
        )

    async def _wait_for(self, holders: Callable[[], set[int]]) -> None:
        until = self._now_seconds() + TRANSACTION_SECONDS
        while numbers := holders():
            for number in sorted(numbers):
                holder = self.sessions[number]
                if self._now_seconds() - holder.seen_seconds > TRANSACTION_SECONDS:
                    self.end(holder)
            if self._now_seconds() > until:
                raise OutcomeUnknown
            await asyncio.sleep(0.01)

    # --- a batch's transaction -----------------------------------------------------------------

    async def commit(
        self,
        session: Session,
        epochs: Mapping[Shard, int],
        rows: Sequence[Rows],
        log: Sequence[Logged],
        unsure: Sequence[UUID],
        pause: Callable[[], Awaitable[None]],
    ) -> None:
        """All of it in one call, whether or not its caller lives to hear the answer; `pause` is
        what the server takes for each part."""
        self.prove(session, epochs)
        try:
            self._ask(session, unsure)
            await pause()
            self.check(session)
            await self._write(session, rows, log)
            await pause()
            self.check(session)
            self._commit(session)
        except OutcomeUnknown:
            self._release(session)
            raise

    def prove(self, session: Session, epochs: Mapping[Shard, int]) -> None:
        session.transaction = Transaction()
        for shard, epoch in epochs.items():
            row = self.leases[shard]
            if (row.host_id, row.epoch) != (session.host_id, epoch):
                self._release(session)
                raise Fenced
        for shard in epochs:
            self.leases[shard].shared_by.add(session.number)
            session.locks.add(shard)

    def _ask(self, session: Session, unsure: Sequence[UUID]) -> None:
        if known := [command_id for command_id in unsure if command_id in self.log]:
            self._release(session)
            raise AlreadyDecided(known)

    async def _write(self, session: Session, rows: Sequence[Rows], log: Sequence[Logged]) -> None:
        transaction = Transaction(list(rows), list(log))
        keys = transaction.keys()
        await self._wait_for(
            lambda: {
                other.number
                for other in self.sessions.values()
                if other.transaction and other is not session and keys & other.transaction.keys()
            }
        )
        self.check(session)
        self._constrain(session, transaction)
        session.transaction = transaction

    def _commit(self, session: Session) -> None:
        transaction = session.transaction
        if transaction is None:
            raise OutcomeUnknown
        self._constrain(session, transaction)
        self.tables.apply(transaction.rows)
        self.log |= {line.command_id: line for line in transaction.log}
        self.commits += 1
        self._release(session)

    def _constrain(self, session: Session, transaction: Transaction) -> None:
        said = [line.command_id for line in transaction.log]
        broken, cause = self.tables.breaks(transaction.rows), Cause.BROKEN
        if len(set(said)) < len(said) or any(command in self.log for command in said):
            broken, cause = "a command is logged twice", Cause.DATA
        if broken is not None:
            self._release(session)
            raise Rejected(broken, cause)

    # --- leases --------------------------------------------------------------------------------

    def register(self, host: Incarnation) -> list[Incarnation]:
        if host.id not in self.hosts:
            for row in self.hosts.values():
                row.superseded |= row.incarnation.name == host.name and not row.lost
            self.hosts[host.id] = HostRow(host, self.now_ms() + LEASE_SECONDS * 1000)
        return [
            row.incarnation
            for row in self.hosts.values()
            if not row.lost and row.incarnation[1:3] == host[1:3] and row.incarnation.id != host.id
        ]

    def expire(self, host_ids: Sequence[UUID]) -> None:
        for host_id in host_ids:
            self.hosts[host_id].expires_ms = self.now_ms()

    def renew(self, host_id: UUID, decided_at_ms: int) -> int | None:
        row = self.hosts[host_id]
        if row.lost or row.superseded:
            return None
        row.decided_at_ms = max(row.decided_at_ms, decided_at_ms)
        row.expires_ms = self.now_ms() + LEASE_SECONDS * 1000
        return self.now_ms()

    def owned(self, host_id: UUID) -> dict[Shard, Lease]:
        return {
            shard: Lease(row.epoch, row.decided_at_ms)
            for shard, row in self.leases.items()
            if row.host_id == host_id
        }

    async def raise_epochs(self, host_id: UUID) -> None:
        mine = list(self.owned(host_id))
        await self._unlocked(mine)
        for shard in mine:
            row = self.leases[shard]
            if row.host_id == host_id and not self.hosts[host_id].lost:
                row.epoch += 1

    async def hand_over(
        self,
        host_id: UUID,
        epochs: Mapping[Shard, int],
        successor: UUID,
        last_decided_ms: Mapping[Shard, int],
    ) -> None:
        await self._unlocked(list(epochs))
        for shard, epoch in epochs.items():
            row = self.leases[shard]
            heir = self.hosts.get(successor)  # one that has not registered yet gets nothing
            may_take = heir is not None and not (heir.lost or heir.superseded)
            if (row.host_id, row.epoch) == (host_id, epoch) and may_take:
                row.host_id, row.epoch = successor, epoch + 1
                row.decided_at_ms = max(row.decided_at_ms, last_decided_ms[shard])

    def mark_lost(self) -> list[UUID]:
        """The first step of a takeover."""
        lost = []
        for row in self.hosts.values():
            if not row.lost and row.expires_ms <= self.now_ms():
                row.lost = True
                lost.append(row.incarnation.id)
        return lost

    def terminate_lost(self) -> None:
        """The second."""
        lost = {host_id for host_id, row in self.hosts.items() if row.lost}
        for session in self.sessions.values():
            if session.host_id in lost:
                self.end(session)

    async def give(self, assignments: Mapping[Shard, UUID]) -> None:
        """The third."""
        await self._unlocked(list(assignments))
        for shard, host_id in assignments.items():
            row = self.leases[shard]
            owner = self.hosts.get(row.host_id) if row.host_id else None
            if owner is not None and not owner.lost:
                continue
            decided_at_ms = owner.decided_at_ms if owner else 0
            row.decided_at_ms = max(row.decided_at_ms, decided_at_ms, self.now_ms())
            row.host_id, row.epoch = host_id, row.epoch + 1
