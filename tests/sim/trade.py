"""One shop's clients, who buy, ship, sell, take back and count beside each other, with a till and
a gift card."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from math import inf
from uuid import UUID

from actors.messages import Command, Refused
from actors.stock import model as m
from core.errors import CommandFailed, Conflict, Unavailable
from tests.runtime.linear import Operation
from tests.runtime.shop_wishes import READS, Asked, Wish, Wishes
from tests.sim.world import Client, World

CLIENTS = 3
TTL_MS = 20_000
COUNTS = 0.15


@dataclass
class Trade:
    """A shop and its history. `counted` is a third good, which is counted while it moves: what
    becomes of it is known from its ledger alone."""

    world: World
    tenant_id: UUID
    counted: UUID
    history: list[Operation] = field(default_factory=list)
    acked: list[UUID] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wishes = Wishes(self.world.rng, self.tenant_id, self.world.uuid, TTL_MS)

    async def run(self, until: float) -> None:
        for command in self.wishes.opening():
            await self._insist(command)
        await asyncio.gather(*(self._client(until) for _ in range(CLIENTS)))

    async def _insist(self, command: Command) -> None:
        command_id = self.world.uuid()
        while True:
            try:
                reply = await self._one().send(command_id, command, 5_000, may_repeat=True)
            except Unavailable:
                continue
            except (CommandFailed, Conflict):
                self.denied.append(f"the opening: {command}")
                return
            assert not isinstance(reply, Refused), reply
            self.acked.append(command_id)
            return

    def _one(self) -> Client:
        return Client(self.world, self.world.any_bus(), self.tenant_id)

    async def _client(self, until: float) -> None:
        world, rng = self.world, self.world.rng
        while world.now() < until:
            await asyncio.sleep(rng.uniform(0, 0.5))
            wishes = [self._count()] if rng.random() < COUNTS else self.wishes.some()
            await asyncio.gather(*(self._did(*wish) for wish in wishes))

    def _count(self) -> Wish:
        """Adds to the counted good, or says how many there were a moment ago."""
        rng = self.world.rng
        place = rng.choice((self.tenant_id, self.wishes.elsewhere))
        if rng.random() < 0.6:
            add = m.AddStock(self.counted, rng.randint(1, 5), location_id=place)
            return ("add counted",), add
        at_ms = self.world.clock.now_ms() - rng.choice((0, 20, 500, 3_000))
        line = m.CountLine(self.counted, rng.randint(0, 20), at_ms, place)
        return ("count",), m.Count((line,))

    async def _did(self, asked: Asked, command: Command) -> None:
        world, command_id = self.world, self.world.uuid()
        is_read = isinstance(command, READS)
        began, told = world.now(), None
        try:
            if is_read:
                reply = await self._one().read(command)
            else:
                reply = await self._one().send(command_id, command, world.rng.choice((800, 5_000)))
                if not isinstance(reply, Refused):
                    self.acked.append(command_id)
            told = self.wishes.told(reply)
        except Unavailable:
            pass
        except (CommandFailed, Conflict):
            self.denied.append(f"{asked} at {began:.3f}")
        world.note(f"{asked} told {told}")
        if asked[0] in ("add counted", "count"):
            return
        if told is not None:
            self.history.append(Operation(began, world.now(), asked, told))
        elif not is_read:
            self.history.append(Operation(began, inf, asked))
