"""A simulated life: what happens in it, and what must be true at its end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from actors.stock import model as m
from tests.runtime.linear import Model, Operation, ShelfModel, TooHard, is_linearizable
from tests.runtime.linear_shop import WholeShop
from tests.sim.audit import contradictions
from tests.sim.loop import simulate
from tests.sim.shelf import TTL_MS, Product
from tests.sim.trade import Trade
from tests.sim.world import Client, Plan, World

PRODUCTS = 2
PATIENCE_SECONDS = 120
MAX_TRIES = 100_000


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
    trade = Trade(world, world.uuid(), world.uuid())
    faults: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            until = world.plan.seconds
            clients = [client.run(until) for client in (*products, trade)]
            # Two at a time, so that disasters coincide.
            await asyncio.gather(_disasters(world), _disasters(world), *clients)
            world.heal()
            await world.served()
            await _outlive_holds(world)
            await _compare_memory(world)
    except TimeoutError:
        faults.append(f"not healed: {_state(world)}")
    faults += _audit(world, products, trade)
    world.keeping.cancel()
    history = [operation for client in (*products, trade) for operation in client.history]
    unknown = sum(operation.ended == inf for operation in history)
    return Life(seed, world.digest, len(history), unknown, world.database.commits, faults)


async def _disasters(world: World) -> None:
    for _ in range(world.plan.disasters):
        await asyncio.sleep(world.rng.uniform(0, world.plan.seconds / world.plan.disasters))
        await world.disaster()


async def _outlive_holds(world: World) -> None:
    """Nobody touches them any more; sooner or later every hold is gone, by the sweep alone, and
    the hosts have heard of the last commit, of which the database knows before them."""
    tables = world.database.tables
    while any(tables.of("reservations", status=m.Status.OPEN)) or _works(world):
        await asyncio.sleep(1)


def _works(world: World) -> bool:
    return any(node.alive and len(node.host._mailbox) for node in world.nodes.values())


async def _compare_memory(world: World) -> None:
    """What the owners say is what the database has."""
    for (product, place), row in world.database.tables["stock_levels"].items():
        client = Client(world, world.buses[0], row["tenant_id"])
        level = await client.level(product, place)
        told = (level.on_hand, level.reserved, level.incoming, level.sequence)
        if told != (row["on_hand"], row["reserved"], row["incoming"], row["sequence"]):
            world.database.tables.went_back.append(f"memory says {level}, the database {row}")


def _audit(world: World, products: Sequence[Product], trade: Trade) -> list[str]:
    everyone = (*products, trade)
    log = world.database.log
    # An expiry is nobody's operation, so only what came before the first counts.
    return [
        *contradictions(world.database),
        *(
            f"lost: {command_id}"
            for some in everyone
            for command_id in some.acked
            if command_id not in log
        ),
        *(f"denied: {command_id}" for some in everyone for command_id in some.denied),
        *(f"not linearizable: {p.id}" for p in products if not _explained(p.history, ShelfModel())),
        *(() if _explained(trade.history, WholeShop()) else ("not linearizable: the shop",)),
    ]


def _explained(history: list[Operation], model: Model) -> bool:
    horizon = (TTL_MS + m.GRACE_MS) / 1000
    try:
        return is_linearizable(
            [operation for operation in history if operation.began < horizon], model, MAX_TRIES
        )
    except TooHard:
        return True


def _state(world: World) -> str:
    nodes = {
        name: (node.alive, len(node.host.epochs), node.host._ownership.in_doubt)
        for name, node in world.nodes.items()
    }
    return f"{nodes}, leases {world.database.leases}"
