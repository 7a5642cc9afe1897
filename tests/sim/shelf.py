"""One product's clients, who reserve, release and read, and let holds expire."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from math import inf
from typing import Any
from uuid import UUID

from actors.stock import model as m
from core.errors import CommandFailed, Conflict, Unavailable
from tests.runtime.linear import Operation
from tests.sim.world import Client, World

CLIENTS = 3
TTL_MS = 20_000


@dataclass
class Product:
    """One product and its history."""

    world: World
    tenant_id: UUID
    id: UUID
    history: list[Operation] = field(default_factory=list)
    holds: list[UUID] = field(default_factory=list)
    acked: dict[UUID, m.AnyReply] = field(default_factory=dict)
    denied: list[str] = field(default_factory=list)

    async def run(self, until: float) -> None:
        await asyncio.gather(*(self._client(until) for _ in range(CLIENTS)))

    async def _client(self, until: float) -> None:
        world, rng = self.world, self.world.rng
        while world.now() < until:
            await asyncio.sleep(rng.uniform(0, 0.5))
            asked, command = self._wish()
            await self._did(Client(world, world.any_bus(), self.tenant_id), asked, command)

    def _wish(self) -> tuple[tuple[Any, ...], m.Command | None]:
        rng = self.world.rng
        roll = rng.random()
        if roll < 0.25:
            return ("read",), None
        if roll < 0.4:
            quantity = rng.randint(1, 4)
            return ("add", quantity), m.AddStock(self.id, quantity)
        if roll < 0.6 and self.holds:
            hold = self.holds.pop(rng.randrange(len(self.holds)))
            return ("release", hold), m.Release(hold)
        hold, quantity = self.world.uuid(), rng.randint(1, 3)
        self.holds.append(hold)
        command = m.Reserve(hold, (m.Line(self.id, quantity),), TTL_MS)
        return ("reserve", hold, quantity), command

    async def _did(self, client: Client, asked: tuple[Any, ...], command: m.Command | None) -> None:
        world, command_id = self.world, self.world.uuid()
        began, told = world.now(), None
        try:
            if command is None:
                level = await client.level(self.id)
                told = (level.on_hand, level.reserved)
            else:
                reply = await client.send(command_id, command, world.rng.choice((800, 5_000)))
                told = _told(reply)
                if not isinstance(reply, m.Refused):
                    self.acked[command_id] = reply
        except Unavailable:
            pass
        except (CommandFailed, Conflict):
            self.denied.append(f"{asked} at {began:.3f}")
        world.note(f"{asked} told {told}")
        if told is not None:
            self.history.append(Operation(began, world.now(), asked, told))
        elif command is not None:
            self.history.append(Operation(began, inf, asked))


def _told(reply: m.AnyReply) -> tuple[Any, ...]:
    if isinstance(reply, m.Refused):
        return ("no", reply.shortages[0].available) if reply.shortages else ("unheld",)
    assert isinstance(reply, m.Hold | m.Levels)
    return (reply.levels[0].on_hand, reply.levels[0].reserved)
