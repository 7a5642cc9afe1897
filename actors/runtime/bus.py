"""How a replica has commands decided: found, sent, repeated until their deadline."""

from __future__ import annotations

import asyncio
import random
from uuid import UUID

import msgspec

from actors.runtime.channel import PATIENCE_SECONDS, Channel
from actors.runtime.directory import Directory, Owner
from actors.runtime.ports import Transport
from actors.runtime.wire import Answer, Envelope, Outcome, Receipt, shard_of
from core import telemetry
from core.clock import Clock
from core.errors import CommandFailed, Conflict, HoldfastError, IdempotencyMismatch, Unavailable
from core.request import RequestKey
from store.hosts.leases import Shard

FIRST_PAUSE_SECONDS = 0.02
MAX_PAUSE_SECONDS = 0.5
READ_TIMEOUT_MS = 10_000
_NO_COMMAND = UUID(int=0)


class Decided(msgspec.Struct, frozen=True):
    """A host's answer: the family's own encoding, and receipts of order."""

    reply: bytes
    receipts: tuple[Receipt, ...]


class CommandBus:
    """Sends commands and reads to the hosts that own their shards.

    A command is repeated under the same id over host restarts until its deadline; then, and when
    a host is full, Unavailable (503 with Retry-After) is raised.
    """

    def __init__(self, directory: Directory, transport: Transport, clock: Clock) -> None:
        self._directory = directory
        self._transport = transport
        self._clock = clock
        self._channels: dict[Owner, Channel] = {}
        self._looking: asyncio.Task[None] | None = None

    async def send(
        self, family: str, tenant_id: UUID, principal: str, body: bytes, key: RequestKey
    ) -> Decided:
        """One command. Raises Unavailable, IdempotencyMismatch, Conflict when the database refuses
        the data, or CommandFailed."""
        envelope = Envelope(
            family,
            await self._shard(tenant_id),
            tenant_id,
            key.command_id,
            key.fingerprint,
            principal,
            key.arrived_ms,
            key.deadline_ms,
            False,
            key.client_supplied,
            body,
        )
        return await self._until_answered(envelope)

    async def read(self, family: str, tenant_id: UUID, principal: str, body: bytes) -> Decided:
        """One read of committed state, from the owner. Raises Unavailable."""
        now_ms = self._clock.now_ms()
        envelope = Envelope(
            family,
            await self._shard(tenant_id),
            tenant_id,
            _NO_COMMAND,
            b"",
            principal,
            now_ms,
            now_ms + READ_TIMEOUT_MS,
            True,
            False,
            body,
        )
        return await self._until_answered(envelope)

    async def _shard(self, tenant_id: UUID) -> int:
        return shard_of(tenant_id, await self._directory.shards())

    async def _until_answered(self, envelope: Envelope) -> Decided:
        pause = FIRST_PAUSE_SECONDS
        while True:
            seen = self._clock.boot_seconds()
            answer = await self._ask(envelope)
            if answer.outcome is not Outcome.ASK_AGAIN:
                return _settle(answer)
            if self._clock.now_ms() + pause * 1000 >= envelope.deadline_ms:
                raise Unavailable
            telemetry.COMMAND_RETRIES.labels(envelope.family).inc()
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(pause * 2, MAX_PAUSE_SECONDS)
            await self._refresh(seen)
            # From the second try on, the first may have happened.
            envelope = msgspec.structs.replace(envelope, look_up=True)

    async def _ask(self, envelope: Envelope) -> Answer:
        """Asks the owner. ASK_AGAIN when there is none, or the shard moves; TOO_LATE at the
        deadline."""
        shard = Shard(envelope.family, envelope.shard)
        owner = self._directory.owner(shard)
        if owner is None:
            return Answer(Outcome.ASK_AGAIN)
        envelope = msgspec.structs.replace(envelope, epoch=self._directory.epoch(shard))
        channel = self._channels.get(owner)
        if channel is None:
            channel = Channel(self._transport, owner, self._clock, self._look)
            self._channels[owner] = channel
        return await channel.send(envelope)

    def _look(self) -> None:
        """Looks whether somebody else has taken the shards of a host that is silent."""
        if self._looking is None or self._looking.done():
            seen_seconds = self._clock.boot_seconds() - PATIENCE_SECONDS / 2
            self._looking = asyncio.create_task(self._refresh(seen_seconds))

    async def _refresh(self, seen_seconds: float) -> None:
        try:
            await self._directory.refresh(seen_seconds)
        except HoldfastError:
            return  # the deadline ends the patience, not one failed look
        self._close_channels()

    def _close_channels(self) -> None:
        current = self._directory.owners
        for owner in [owner for owner in self._channels if owner not in current]:
            self._channels.pop(owner).close()


def _settle(answer: Answer) -> Decided:
    match answer.outcome:
        case Outcome.DONE:
            return Decided(answer.reply, answer.receipts)
        case Outcome.MISMATCH:
            raise IdempotencyMismatch
        case Outcome.REJECTED:
            raise Conflict("The data was refused by the database; nothing was written.")
        case Outcome.BROKEN:
            raise CommandFailed
        case Outcome.BUSY:
            raise Unavailable("Commands of this business cannot be taken at the moment.")
        case _:
            raise Unavailable
