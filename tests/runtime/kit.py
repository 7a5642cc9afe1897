"""A whole runtime in one process: real hosts, keeper and bus over a real Postgres, whose
processes can be killed and stopped, and whose calls can be lost, delayed and repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from actors.families import COMMERCE, FAMILIES
from actors.runtime.bus import CommandBus
from actors.runtime.directory import Directory, Owner
from actors.runtime.family import STATE_BYTES, Families
from actors.runtime.keeper import Keeper
from actors.runtime.memory import MAX_BYTES
from actors.runtime.ports import HostLost
from actors.runtime.stream import Deliver, HostEnd, Stream
from actors.runtime.wire import (
    Answer,
    Envelope,
    decode_partial_answers,
    deliver_all,
    encode,
    shard_of,
)
from core.ids import uuid7
from store.hosts import leases
from store.hosts.journal import HostStore
from store.hosts.keeping import KeeperStore
from store.hosts.leases import Incarnation, Shard
from store.kit.engine import Database, Scope
from tests.runtime.faults import Faults
from tests.runtime.node import DEAD_PIDS, Node, SteerableClock, sever
from tests.runtime.pipes import Pipe

# Of the tests' databases, per family.
SHARDS = 8


@dataclass(frozen=True)
class Urls:
    """One test's own database, as its three users."""

    owner: str
    app: str
    host: str


class LocalTransport:
    """Carries calls by the host's name, as Ray does, to whatever process has it now; and, unless
    there are no `streams`, commands by a pipe to the very process that is meant."""

    def __init__(
        self, nodes: dict[str, Node], faults: Faults, streams: Callable[[], bool] = lambda: True
    ) -> None:
        self._nodes = nodes
        self.faults = faults
        self._streams = streams
        self._strays: set[asyncio.Task[Any]] = set()

    async def submit(
        self, host_name: str, envelopes: Sequence[Envelope], deliver: Callable[[int, Answer], None]
    ) -> None:
        blob, faults = encode(envelopes), self.faults
        await faults.delay()
        if faults.strikes(faults.lose_request):
            raise HostLost(host_name)
        if faults.strikes(faults.repeat):
            self._repeat(host_name, blob)
        part = decode_partial_answers(
            await self._deliver(host_name, lambda node: node.submit(blob))
        )
        while True:
            await faults.delay()
            if faults.strikes(faults.lose_answer):
                raise HostLost(host_name)
            deliver_all(part, deliver)
            if not part.more:
                return
            more = partial(Node.more, number=part.more)
            part = decode_partial_answers(await self._deliver(host_name, more))

    async def stream(
        self, owner: Owner, deliver: Deliver, changed: Callable[[], None]
    ) -> Stream | None:
        if not self._streams():
            return None
        await self.faults.delay()
        node = self._nodes.get(owner.name)
        if node is None or not node.serves or node.incarnation.id != owner.incarnation:
            raise HostLost(owner.name)
        stream, end = Stream(deliver, changed), HostEnd(node.host.receive, set())
        pipe = Pipe(stream, end, self.faults, node.awake, partial(self._repeat, owner.name))
        self._stray(pipe.run(node.dead))
        return stream

    def _repeat(self, host_name: str, blob: bytes) -> None:
        self._stray(self._late(host_name, blob))

    async def ask(self, host_name: str, envelopes: Sequence[Envelope]) -> list[Answer]:
        """All answers of a call. Raises HostLost."""
        answers: dict[int, Answer] = {}
        await self.submit(host_name, envelopes, answers.__setitem__)
        return [answers[place] for place in sorted(answers)]

    async def _deliver(
        self, host_name: str, work: Callable[[Node], Coroutine[Any, Any, bytes]]
    ) -> bytes:
        node = self._nodes.get(host_name)
        if node is None or not node.alive:
            raise HostLost(host_name)
        call = self._stray(work(node))
        died = self._stray(node.dead.wait())
        try:
            await asyncio.wait({call, died}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            died.cancel()
        if not node.alive or not call.done():
            raise HostLost(host_name)
        try:
            return call.result()
        except KeyError as error:  # another process has the name by now
            raise HostLost(host_name) from error

    async def _late(self, host_name: str, blob: bytes) -> None:
        """A copy of a call that arrives later, perhaps at another process of the same name."""
        await asyncio.sleep(self.faults.rng.random() * 2)
        with suppress(HostLost):
            await self._deliver(host_name, lambda node: node.submit(blob))

    def _stray(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._strays.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._strays.discard(task)
        if not task.cancelled():
            task.exception()  # perhaps nobody waits for it any more

    async def close(self) -> None:
        for task in list(self._strays):
            task.cancel()
        await asyncio.gather(*self._strays, return_exceptions=True)


class LocalHosts:
    """The keeper's hands: starts processes that are missing, and calls them."""

    def __init__(self, make: Callable[[str], Node], nodes: dict[str, Node], names: list[str]):
        self._make = make
        self._nodes = nodes
        self.names = names
        self.former: list[Node] = []

    async def ensure(self) -> None:
        for name in self.names:
            node = self._nodes.get(name)
            if node is not None and node.alive:
                continue
            if node is not None:
                self.former.append(node)
            self._nodes[name] = fresh = self._make(name)
            with suppress(TimeoutError, HostLost):
                async with asyncio.timeout(1):
                    await fresh.started()

    async def sync(self, names: Iterable[str]) -> None:
        await asyncio.gather(*(self._call(name, "sync") for name in names), return_exceptions=True)

    async def hand_over(self, name: str, shards: Sequence[Shard], successor: UUID) -> None:
        await self._call(name, "hand_over", shards, successor)

    async def others(self) -> set[str]:
        return set(self._nodes) - set(self.names)

    async def dismiss(self, name: str) -> None:
        if (node := self._nodes.pop(name, None)) is not None:
            self.former.append(node)
            node.kill()

    async def _call(self, name: str, method: str, *arguments: Any) -> None:
        node = self._nodes[name]
        async with asyncio.timeout(3):
            await node.awake.wait()
            await getattr(node.host, method)(*arguments)


class Cluster:
    """Hosts, keeper and one replica's bus."""

    def __init__(
        self,
        urls: Urls,
        hosts: int,
        *,
        faults: Faults | None = None,
        families: Families = FAMILIES,
        clock: SteerableClock | None = None,
        host_url: str | None = None,
        machine: str = "one machine",
        memory: int = MAX_BYTES // STATE_BYTES,
        streams: bool = True,
    ) -> None:
        self.urls = urls
        self.memory = memory
        self.clock = clock or SteerableClock()
        self.host_url = host_url or urls.host
        self.machine = machine
        self.families = families
        self.nodes: dict[str, Node] = {}
        names = [f"h{number}" for number in range(hosts)]
        self.hosts = LocalHosts(self._make, self.nodes, names)
        self.transport = LocalTransport(self.nodes, faults or Faults(), lambda: streams)
        self.db = Database(urls.app)
        self.keeper_store = KeeperStore(urls.host)
        self.keeper = Keeper(self.keeper_store, self.hosts, families, self.clock)
        self.keeping: asyncio.Task[None] | None = None
        self.bus = CommandBus(Directory(self._directory, self.clock), self.transport, self.clock)

    def _make(self, name: str) -> Node:
        incarnation = Incarnation(uuid7(), name, self.machine, next(DEAD_PIDS))
        store = HostStore(self.host_url, incarnation)
        node = Node(store, self.clock, self.families, sever)
        node.host._memory._max = self.memory * STATE_BYTES
        return node

    async def _directory(self) -> tuple[int, dict[Shard, leases.Owned]]:
        async with self.db.transaction(Scope()) as tx:
            return await leases.directory(tx)

    async def start(self) -> None:
        self.keeping = asyncio.create_task(self.keeper.run())
        await self.settled()

    async def settled(self, timeout_seconds: float = 20) -> None:
        """Waits until every shard is served by a live host."""
        async with asyncio.timeout(timeout_seconds):
            while True:
                with suppress(Exception):
                    shards, owners = await self._directory()
                    live = [node for node in self.nodes.values() if node.alive]
                    served = sum(len(node.host.epochs) for node in live)
                    if owners and served == len(owners) == shards * len(self.families):
                        return
                await asyncio.sleep(0.02)

    def kill(self, name: str) -> None:
        self.nodes[name].kill()

    def owner_of(self, shard: Shard) -> Node:
        live = (node for node in self.nodes.values() if node.alive)
        return next(node for node in live if shard in node.host.epochs)

    def owner_of_tenant(self, tenant_id: UUID) -> Node:
        """Of the shard of a tenant's commerce."""
        shards = self.bus._directory._shards
        return self.owner_of(Shard(COMMERCE, shard_of(tenant_id, shards)))

    async def stop(self) -> None:
        if self.keeping is not None:
            self.keeping.cancel()
            await asyncio.gather(self.keeping, return_exceptions=True)
        await self.transport.close()
        for node in [*self.nodes.values(), *self.hosts.former]:
            node.kill()
            await node.gone()
        await self.keeper_store.close()
        await self.db.close()


@asynccontextmanager
async def running(urls: Urls, hosts: int = 2, **options: Any) -> AsyncIterator[Cluster]:
    """A cluster that serves every shard, until the block ends."""
    cluster = Cluster(urls, hosts, **options)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()
