"""Clients that keep a log of what they asked and what they were told."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from actors.families import COMMERCE, decode_reply, encode_command
from actors.runtime.bus import Decided
from actors.runtime.wire import Envelope, shard_of
from actors.stock import model as m
from core.errors import HoldfastError, Unavailable
from core.ids import uuid7
from core.request import RequestKey
from tests.runtime.kit import SHARDS, Cluster
from tests.runtime.node import Node

DEADLINE_MS = 30_000


def hold_of(product: Any, quantity: int = 1, ttl_ms: int = 60_000) -> m.Reserve:
    return m.Reserve(uuid7(), (m.Line(product, quantity),), ttl_ms)


@dataclass(eq=False)
class Request:
    """One request of a client under one key, however often it is sent. `command` is made anew
    for each sending, as the service does: a reservation's id is not part of the key."""

    command: m.Command
    principal: str = "shop"
    command_id: UUID = field(default_factory=uuid4)
    client_supplied: bool = True
    sent: list[m.Command] = field(default_factory=list)
    replies: list[m.AnyReply] = field(default_factory=list)
    errors: list[HoldfastError] = field(default_factory=list)
    receipts: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def fingerprint(self) -> bytes:
        return hashlib.sha256(repr(self.command).encode()).digest()

    @property
    def reply(self) -> m.AnyReply | None:
        """What was answered, if anything; more than one answer must be the same answer."""
        return self.replies[0] if self.replies else None

    @property
    def said_yes(self) -> bool:
        return self.reply is not None and not isinstance(self.reply, m.Refused)


class Shop:
    """A tenant with products, and its clients' log."""

    def __init__(self, cluster: Cluster, tenant_id: UUID | None = None) -> None:
        self.cluster = cluster
        self.tenant_id = tenant_id or uuid7()
        self.log: list[Request] = []
        self.answered_at: list[float] = []

    async def send(self, request: Request, *, deadline_ms: int = DEADLINE_MS) -> m.AnyReply:
        """Sends once; the bus repeats it until the deadline. Raises what the bus raises."""
        if not request.sent:
            self.log.append(request)
        command = request.command
        if isinstance(command, m.Reserve) and request.sent:
            command = m.Reserve(uuid7(), command.lines, command.ttl_ms, command.reference)
        request.sent.append(command)
        now_ms = self.cluster.clock.now_ms()
        key = RequestKey(
            request.command_id,
            request.fingerprint,
            request.client_supplied,
            now_ms,
            now_ms + deadline_ms,
        )
        try:
            decided: Decided = await self.cluster.bus.send(
                COMMERCE, self.tenant_id, request.principal, encode_command(command), key
            )
        except HoldfastError as error:
            request.errors.append(error)
            raise
        reply = decode_reply(decided.reply)
        request.replies.append(reply)
        self.answered_at.append(time.monotonic())
        request.receipts.append(decided.receipts)
        return reply

    def envelope(self, command: m.Command, **changes: Any) -> Envelope:
        """A command as the bus would address it, for calls that go around the bus."""
        now_ms = self.cluster.clock.now_ms()
        plain: dict[str, Any] = {
            "family": COMMERCE,
            "shard": shard_of(self.tenant_id, SHARDS),
            "tenant_id": self.tenant_id,
            "command_id": uuid4(),
            "fingerprint": b"body",
            "principal": "shop",
            "arrived_ms": now_ms,
            "deadline_ms": now_ms + DEADLINE_MS,
            "read": isinstance(command, m.GetLevels | m.GetReservation),
            "look_up": False,
            "body": encode_command(command),
        }
        return Envelope(**(plain | changes))

    async def insist(
        self, request: Request, *, deadline_ms: int = DEADLINE_MS, tries: int = 30
    ) -> m.AnyReply:
        """As a client should: repeats a 503 with the same key."""
        for _ in range(tries):
            try:
                return await self.send(request, deadline_ms=deadline_ms)
            except Unavailable:
                await asyncio.sleep(0.1)
        raise Unavailable

    async def do(self, command: m.Command, principal: str = "shop") -> m.AnyReply:
        return await self.insist(Request(command, principal))

    async def stock(self, quantity: int, products: int = 1) -> list[UUID]:
        """New products with so many units each."""
        ids = [uuid7() for _ in range(products)]
        await asyncio.gather(*(self.do(m.AddStock(product, quantity)) for product in ids))
        return ids

    async def location(self) -> UUID:
        """A new place besides the main one, which stock refers to."""
        owner = await asyncpg.connect(self.cluster.urls.owner)
        try:
            await owner.execute(
                "INSERT INTO businesses (id, name, currency) VALUES ($1, 'Shop', 'EUR')"
                " ON CONFLICT DO NOTHING",
                self.tenant_id,
            )
            place = uuid7()
            await owner.execute(
                "INSERT INTO locations (id, tenant_id, name, time_zone, currency)"
                " VALUES ($1, $2, 'Elsewhere', 'UTC', 'EUR')",
                place,
                self.tenant_id,
            )
        finally:
            await owner.close()
        return place

    async def level(self, product: UUID) -> m.Level:
        body = encode_command(m.GetLevels((product,)))
        decided = await self.cluster.bus.read(COMMERCE, self.tenant_id, "shop", body)
        reply = decode_reply(decided.reply)
        assert isinstance(reply, m.Levels)
        return reply.levels[0]

    def answers_since(self, moment: float) -> int:
        return sum(at > moment for at in self.answered_at)

    def reserve(self, product: UUID, quantity: int = 1, ttl_ms: int = 600_000) -> Request:
        return Request(hold_of(product, quantity, ttl_ms))


async def two_shops(cluster: Cluster) -> tuple[Shop, Shop, Node]:
    """Two tenants of one host, and the host."""
    one, other = Shop(cluster), Shop(cluster)
    await one.stock(1)
    node = cluster.owner_of_tenant(one.tenant_id)
    while cluster.owner_of_tenant(other.tenant_id) is not node:
        other = Shop(cluster)
    return one, other, node
