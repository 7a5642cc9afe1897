"""One simulated life of a cluster: real hosts, keeper and buses over a simulated database, clock
and network, from a seed."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from actors.families import COMMERCE, FAMILIES, decode_reply, encode_command
from actors.messages import Command
from actors.runtime.bus import CommandBus
from actors.runtime.directory import Directory
from actors.runtime.family import STATE_BYTES
from actors.runtime.keeper import Keeper
from actors.runtime.memory import MAX_BYTES
from actors.runtime.wire import shard_of
from actors.stock import model as m
from core.clock import SystemClock
from core.errors import Unavailable
from core.request import RequestKey
from store.hosts.connections import OutcomeUnknown
from store.hosts.leases import Incarnation, Owned, Shard
from tests.runtime.faults import Faults
from tests.runtime.kit import LocalHosts, LocalTransport
from tests.runtime.node import Node
from tests.sim.database import EPOCH_MS, SimDatabase
from tests.sim.store import SimKeeperStore, SimStore, Weather

SHARDS = 4
# Replicas and their shares of the traffic: who asks seldom has an old directory.
BUSES = (0.5, 0.3, 0.1, 0.05, 0.05)
PID = 2**23  # larger than any real one


class SimClock(SystemClock):
    """A process's clocks: its wall clock off by so much, its boot clock by another amount."""

    def __init__(self, now_seconds: Callable[[], float], ahead_ms: int, boot_seconds: float):
        self._now_seconds = now_seconds
        self._since_boot = boot_seconds
        self._offset_ms = EPOCH_MS + ahead_ms - int(boot_seconds * 1000)

    def boot_seconds(self) -> float:
        return self._now_seconds() + self._since_boot

    def now_ms(self) -> int:
        return int(self.boot_seconds() * 1000) + self._offset_ms


@dataclass
class Plan:
    """What a seed decides of its life."""

    rng: random.Random
    hosts: int
    seconds: float
    weather: Weather
    faults: Faults
    disasters: int
    # How many aggregates a host may keep in memory; a batch needs a few at least.
    memory: int
    # How probable it is that a replica reaches a host by a stream.
    streams: float

    @classmethod
    def of(cls, seed: int) -> Plan:
        rng = random.Random(seed)
        bad = rng.random() < 0.8
        weather = Weather(
            rng,
            cut=rng.choice((0.0, 0.005, 0.04)) if bad else 0.0,
            slow=rng.choice((0.0, 0.002, 0.02)) if bad else 0.0,
        )
        faults = Faults(
            rng,
            lose_request=rng.choice((0.0, 0.03)),
            lose_answer=rng.choice((0.0, 0.03)),
            repeat=rng.choice((0.0, 0.1)),
            max_delay_seconds=rng.choice((0.002, 0.05)),
        )
        memory = rng.choice((0, 4, 12, MAX_BYTES // STATE_BYTES))
        hosts, disasters, streams = (
            rng.randint(1, 3),
            rng.randint(0, 5),
            rng.choice((0.0, 0.5, 1.0)),
        )
        return cls(rng, hosts, 12.0, weather, faults, disasters, memory, streams)


@dataclass
class World:
    """The cluster of one seed. `trace` is what happened, in order."""

    plan: Plan
    trace: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self.rng = self.plan.rng
        shards = [Shard(COMMERCE, number) for number in range(SHARDS)]
        self.database = SimDatabase(self.now, shards)
        self.nodes: dict[str, Node] = {}
        names = [f"h{number}" for number in range(self.plan.hosts)]
        self.hosts = LocalHosts(self._make, self.nodes, names)
        self.transport = LocalTransport(self.nodes, self.plan.faults, self._goes_by_stream)
        store = SimKeeperStore(self.database, SHARDS, self.plan.weather)
        self.keeper = Keeper(store, self.hosts, FAMILIES, self._clock())
        self.clock = self._clock()
        self.buses = [self._bus() for _ in range(len(BUSES))]
        self.keeping = asyncio.create_task(self.keeper.run())
        self._usual_cut = self.plan.weather.cut
        self._cuts = 0
        self._made = 0

    def _clock(self, max_ahead_ms: int = 300) -> SimClock:
        ahead_ms = self.rng.randint(-max_ahead_ms, max_ahead_ms)
        return SimClock(self.now, ahead_ms, self.rng.uniform(0, 10_000))

    def _bus(self) -> CommandBus:
        return CommandBus(Directory(self._directory, self.clock), self.transport, self.clock)

    def _goes_by_stream(self) -> bool:
        return self.rng.random() < self.plan.streams

    def any_bus(self) -> CommandBus:
        return self.rng.choices(self.buses, BUSES)[0]

    def _make(self, name: str) -> Node:
        self._made += 1
        incarnation = Incarnation(self.uuid(), name, "machine", PID + self._made)
        store = SimStore(self.database, incarnation, self.plan.weather)
        # A machine's time may be wrong by seconds; the first renewal puts that right.
        node = Node(store, self._clock(5_000), FAMILIES, SimStore.sever)
        store.awake = node.awake
        node.host._memory._max = self.plan.memory * STATE_BYTES
        self.note(f"{name} starts")
        return node

    def uuid(self) -> UUID:
        return UUID(int=self.rng.getrandbits(128))

    def note(self, what: str) -> None:
        self.trace.append(f"{self.now():.6f} {what}")

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]

    async def _directory(self) -> tuple[int, dict[Shard, Owned]]:
        await self.plan.weather.travel()
        if not self.database.up:
            raise Unavailable
        owners = {}
        for shard, row in self.database.leases.items():
            owner = self.database.hosts.get(row.host_id) if row.host_id else None
            if owner is not None and not owner.lost:
                owners[shard] = Owned(owner.incarnation.name, owner.incarnation.id, row.epoch)
        return SHARDS, owners

    async def served(self) -> None:
        """Returns when every shard has a host that serves it."""
        while True:
            live = [node for node in self.nodes.values() if node.alive and node.awake.is_set()]
            if sum(len(node.host.epochs) for node in live) == SHARDS:
                return
            await asyncio.sleep(0.1)

    # --- disasters ---------------------------------------------------------------------------

    async def disaster(self) -> None:
        name = self.rng.choice(list(self.nodes) or ["none"])
        node = self.nodes.get(name)
        kind = self.rng.choice(("kill", "stop", "outage", "pause", "move", "unkept"))
        self.note(f"{kind} {name}")
        if node is None or not node.alive:
            return
        if kind == "kill":
            node.kill()
        elif kind == "stop":
            node.freeze()
            await asyncio.sleep(self.rng.uniform(0.5, 9))
            node.thaw()
        elif kind == "outage":
            self.database.stop()
            await asyncio.sleep(self.rng.uniform(0.1, 4))
            self.database.up = True
        elif kind == "move":
            await self._move(node)
        elif kind == "unkept":
            self.keeping.cancel()
            await asyncio.sleep(self.rng.uniform(0.5, 6))
            self.keep()
        else:
            self._cuts += 1
            self.plan.weather.cut = 0.5
            await asyncio.sleep(self.rng.uniform(0.1, 2))
            self._cuts -= 1
            self.plan.weather.cut = 0.5 if self._cuts else self._usual_cut

    async def _move(self, node: Node) -> None:
        """A host gives shards away, to one that may be dead."""
        shards = list(node.host.epochs)[: self.rng.randint(1, SHARDS)]
        heir = self.rng.choice(list(self.nodes.values()))
        with suppress(OutcomeUnknown, TimeoutError):
            async with asyncio.timeout(3):
                await node.awake.wait()
                await node.host.hand_over(shards, heir.incarnation.id)

    def keep(self) -> None:
        """Starts a keeper, unless one keeps."""
        if self.keeping.done() or self.keeping.cancelling():
            self.keeping = asyncio.create_task(self.keeper.run())

    def heal(self) -> None:
        """The end of all trouble."""
        self.note("healed")
        self.keep()
        self.plan.weather.cut = self.plan.weather.slow = 0.0
        self.transport.faults = Faults(self.rng, max_delay_seconds=0.002)
        self.database.up = True
        for node in self.nodes.values():
            node.thaw()


@dataclass
class Client:
    """One of a tenant's clients; the bus repeats what it sends."""

    world: World
    bus: CommandBus
    tenant_id: UUID

    async def send(
        self, command_id: UUID, command: Command, deadline_ms: int, *, may_repeat: bool = False
    ) -> Any:
        """Raises what the bus raises. A client that `may_repeat` it made the key itself."""
        now_ms = self.world.clock.now_ms()
        supplied = may_repeat or self.world.rng.random() < 0.3
        key = RequestKey(command_id, b"", supplied, now_ms, now_ms + deadline_ms)
        body = encode_command(command)
        decided = await self.bus.send(COMMERCE, self.tenant_id, "shop", body, key)
        return decode_reply(decided.reply)

    async def read(self, command: Command) -> Any:
        """Raises what the bus raises."""
        body = encode_command(command)
        decided = await self.bus.read(COMMERCE, self.tenant_id, "shop", body)
        return decode_reply(decided.reply)

    async def level(self, product: UUID, place: UUID | None = None) -> m.Level:
        reply = await self.read(m.GetLevels((product,), place))
        assert isinstance(reply, m.Levels)
        return reply.levels[0]

    @property
    def shard(self) -> Shard:
        return Shard(COMMERCE, shard_of(self.tenant_id, SHARDS))
