"""What clients do in a simulated life, and what must be true at its end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any
from uuid import UUID

from actors.stock import model as m
from core.errors import Conflict, Unavailable
from tests.runtime.linear import Operation, ShelfModel, TooHard, is_linearizable
from tests.sim.loop import simulate
from tests.sim.world import Client, Plan, World

PRODUCTS = 3
CLIENTS = 3
PATIENCE_SECONDS = 120
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

    async def client(self, until: float) -> None:
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
        except Conflict:
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


@dataclass
class Life:
    """How a seed's life went. `faults` is empty when every promise was kept."""

    seed: int
    digest: str
    operations: int
    unknown: int
    commits: int
    faults: list[str]


def live(seed: int) -> Life:
    """One life, from birth to audit, in virtual time."""
    # The bus draws its pauses from the one generator that all of Python shares.
    before = random.getstate()
    random.seed(seed)
    try:
        return simulate(lambda: _live(seed))
    finally:
        random.setstate(before)


async def _live(seed: int) -> Life:
    world = World(Plan.of(seed))
    products = [Product(world, world.uuid(), world.uuid()) for _ in range(PRODUCTS)]
    keeping = asyncio.create_task(world.keeper.run())
    faults: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            until = world.plan.seconds
            clients = [one.client(until) for one in products for _ in range(CLIENTS)]
            await asyncio.gather(_disasters(world), *clients)
            world.heal()
            await world.served()
            await _outlive_holds(world, products)
    except TimeoutError:
        faults.append(f"not healed: {_state(world)}")
    faults += _audit(world, products)
    keeping.cancel()
    history = [operation for product in products for operation in product.history]
    unknown = sum(one.ended == inf for one in history)
    return Life(seed, world.digest, len(history), unknown, world.database.commits, faults)


async def _disasters(world: World) -> None:
    for _ in range(world.plan.disasters):
        await asyncio.sleep(world.rng.uniform(0, world.plan.seconds / world.plan.disasters))
        await world.disaster()


async def _outlive_holds(world: World, products: list[Product]) -> None:
    """Nobody touches them any more; sooner or later every hold is gone, by the sweep alone."""
    database = world.database
    while any(row[4] == m.Status.OPEN for row in database.reservations.values()):
        await asyncio.sleep(1)
    for product in products:
        client = Client(world, world.buses[0], product.tenant_id)
        level = await client.level(product.id)
        row = database.levels.get((product.id, product.tenant_id), (0,) * 5)
        if (level.on_hand, level.reserved) != (row[3], row[4]):
            product.denied.append(f"memory says {level}, the database {row[3:5]}")


def _audit(world: World, products: list[Product]) -> list[str]:
    return [
        *_contradictions(world),
        *(f"lost: {one}" for p in products for one in p.acked if one not in world.database.log),
        *(f"denied: {one}" for product in products for one in product.denied),
        *(f"not linearizable: {p.id}" for p in products if not _explained(p.history)),
    ]


def _explained(history: list[Operation]) -> bool:
    try:
        # An expiry is nobody's operation, so only what came before the first counts.
        horizon = TTL_MS / 1000 + m.GRACE_MS / 1000
        return is_linearizable([one for one in history if one.began < horizon], ShelfModel())
    except TooHard:
        return True


def _contradictions(world: World) -> Iterator[str]:
    database = world.database
    sums: dict[tuple[UUID, UUID], list[int]] = {}
    latest_ms: dict[tuple[UUID, UUID], int] = {}
    opened: dict[UUID, int] = {}
    for (*place, sequence), row in sorted(database.movements.items()):
        stock = (place[0], place[1])
        total = sums.setdefault(stock, [0, 0, 0])
        for column in range(3):
            total[column] += row[5 + column]
        if total != list(row[8:11]):
            yield f"line {sequence} of {stock} does not follow"
        if row[17] < latest_ms.get(stock, 0):
            yield f"time runs backwards at line {sequence} of {stock}"
        latest_ms[stock] = row[17]
        if row[4] == "reserved":
            opened[row[14]] = opened.get(row[14], 0) + 1
    for stock, row in database.levels.items():
        if sums[stock] != list(row[3:6]):
            yield f"the level of {stock} is not the sum of its ledger"
    yield from (f"{command} opened {n} holds" for command, n in opened.items() if n > 1)


def _state(world: World) -> str:
    nodes = {
        name: (node.alive, len(node.host.epochs), node.host._recovering)
        for name, node in world.nodes.items()
    }
    return f"{nodes}, leases {world.database.leases}"
