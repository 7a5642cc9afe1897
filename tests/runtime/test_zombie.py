"""A host that was stopped, and goes on after its successor has begun, does no harm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import pytest

from actors.families import COMMERCE, decode_reply
from actors.runtime.ports import HostLost
from actors.runtime.wire import Answer, Envelope, Outcome, shard_of
from actors.stock import model as m
from core.ids import uuid7
from store.hosts import leases
from store.hosts.leases import LEASE_SECONDS, Shard
from tests.runtime import sabotage
from tests.runtime.audit import audit
from tests.runtime.clients import Request, Shop
from tests.runtime.conftest import LONG, PATIENCE
from tests.runtime.kit import SHARDS, Cluster, Urls, running
from tests.runtime.node import Node, SteerableClock
from tests.runtime.sabotage import Sabotage

ROUNDS = 40 if LONG else 1
# Until it is where it is to be stopped.
STOP_SECONDS = 30

Stop = Callable[[Urls, Node], Awaitable[asyncio.Event]]

# The server itself writes and commits once it has proved the epochs: here it waits in between.
_WAITS = """
CREATE FUNCTION wait_in_commit() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$ BEGIN
  IF current_setting('application_name') = '{name}' THEN
    PERFORM pg_advisory_xact_lock(1);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER waits BEFORE INSERT OR UPDATE ON reservations EXECUTE FUNCTION wait_in_commit();
SELECT pg_advisory_lock(1)"""
_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@dataclass
class Harm:
    """What a zombie did that it must not do."""

    stale_answers: list[m.AnyReply] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    stayed: bool = False
    takeover_seconds: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.stale_answers or self.contradictions or self.stayed)


async def between_batches(urls: Urls, node: Node) -> asyncio.Event:
    async with node.host._turn:
        node.freeze()
    stopped = asyncio.Event()
    stopped.set()
    return stopped


async def before_the_transaction(urls: Urls, node: Node) -> asyncio.Event:
    return _stops_at(node, "commit", after=False)


async def after_the_proof(urls: Urls, node: Node) -> asyncio.Event:
    owner = await asyncpg.connect(urls.owner)
    await owner.execute(_WAITS.format(name=leases.application_name(node.incarnation.id)))
    stopped = asyncio.Event()

    async def hold() -> None:
        try:
            while not await owner.fetchval(_WAITING):
                await asyncio.sleep(0.01)
            node.freeze()
            stopped.set()
            await node.awake.wait()
        finally:
            await owner.close()

    _holding.add(task := asyncio.create_task(hold()))
    task.add_done_callback(_holding.discard)
    return stopped


_holding: set[asyncio.Task[None]] = set()


async def after_the_commit(urls: Urls, node: Node) -> asyncio.Event:
    return _stops_at(node, "commit", after=True)


def _stops_at(node: Node, name: str, *, after: bool) -> asyncio.Event:
    """Stops the process the next time that it comes to this point; tells when it has."""
    method: Callable[..., Awaitable[None]] = getattr(node.store, name)
    stopped = asyncio.Event()

    async def stopping(*arguments: object) -> None:
        setattr(node.store, name, method)
        if after:
            await method(*arguments)
        node.freeze()
        stopped.set()
        await node.awake.wait()
        if not after:
            await method(*arguments)

    setattr(node.store, name, stopping)
    return stopped


async def _told(cluster: Cluster, name: str, envelopes: list[Envelope]) -> list[Answer]:
    with suppress(HostLost):
        return await cluster.transport.ask(name, envelopes)
    return []


async def _expire(urls: Urls, node: Node) -> None:
    """As if the lease had run out: the time is taken out of the database's and the zombie's
    clock alike, so that a round need not wait for it."""
    owner = await asyncpg.connect(urls.owner)
    await owner.execute(
        "UPDATE shard_hosts SET expires_at = clock_timestamp() WHERE id = $1", node.incarnation.id
    )
    await owner.close()
    node.clock.boot_ahead_seconds += LEASE_SECONDS


def _learns_late(node: Node) -> None:
    """The worst order of things: what it does first when it goes on is not to renew its lease,
    or to ask what it owns, which would tell it that it is over."""
    _delay_after_the_stop(node, node.store, "renew")
    _delay_after_the_stop(node, node.host._ownership, "sync")


def _delay_after_the_stop(node: Node, thing: object, name: str) -> None:
    method = getattr(thing, name)

    async def late(*arguments: object) -> object:
        await node.awake.wait()
        if node.clock.boot_ahead_seconds:
            await asyncio.sleep(1)
        return await method(*arguments)

    setattr(thing, name, late)


async def _round(urls: Urls, stop: Stop) -> Harm:
    """Stops a host in the middle of a batch, lets another take over and serve, and has it go
    on: with its batch, and with calls that waited at its door."""
    harm = Harm()
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        last, empty, other = await shop.stock(1, 3)
        held = await shop.do(m.Reserve(uuid7(), (m.Line(other, 1),), 600_000))
        assert isinstance(held, m.Hold)
        await shop.do(m.Adjust((m.Adjustment(empty, -1),), "gone"))

        zombie = cluster.nodes["h0"]
        zombie.clock = SteerableClock()
        host = zombie.host
        for part in (host, host._tenure, host._renewal, host._ownership):
            part._clock = zombie.clock
        cluster.hosts.names = ["h0", "h1"]
        await _balanced_away(cluster, shop, zombie)
        for product in (empty, other):  # what it has in memory, it would answer from
            await shop.level(product)
        _learns_late(zombie)
        stopped = await stop(urls, zombie)
        batch = [shop.envelope(m.Extend(held.reservation_id, 1_200_000))]
        if stop is after_the_commit:
            sale = m.Reserve(uuid7(), (m.Line(last, 1),), 600_000)
            batch.append(shop.envelope(sale))
        if stop is between_batches:
            batch.clear()
        in_batch = asyncio.create_task(_told(cluster, "h0", batch))
        await asyncio.wait_for(stopped.wait(), STOP_SECONDS)
        calls = [
            shop.envelope(m.GetLevels((empty,))),
            shop.envelope(m.Reserve(uuid7(), (m.Line(empty, 1),), 60_000)),
        ]
        at_the_door = asyncio.create_task(_told(cluster, "h0", calls))
        await _expire(urls, zombie)
        began = time.monotonic()
        # All of these are decided by the successor.
        await shop.do(m.Confirm(held.reservation_id))
        harm.takeover_seconds = time.monotonic() - began
        await shop.do(m.AddStock(empty, 5))
        taken = Request(m.Reserve(uuid7(), (m.Line(last, 1),), 600_000))
        await shop.insist(taken)

        zombie.thaw()
        door = await asyncio.wait_for(at_the_door, 5)
        harm.stale_answers = [
            decode_reply(answer.reply) for answer in door if answer.outcome is Outcome.DONE
        ]
        answers = await asyncio.wait_for(in_batch, 15)
        if stop is not after_the_commit:
            # What it had not committed when it was stopped, it must not answer.
            harm.stale_answers += [
                decode_reply(answer.reply) for answer in answers if answer.outcome is Outcome.DONE
            ]
        with suppress(TimeoutError):
            await asyncio.wait_for(zombie.dead.wait(), 10)
        harm.stayed = not zombie.left
        found = await audit(urls, shop.log)
        harm.contradictions = list(found.contradictions)
        if found.lost or found.doubled or found.changed:
            harm.contradictions.append(str(found))
        level = await shop.level(last)
        if (level.on_hand, level.reserved) != (1, 1):
            harm.contradictions.append(f"the last unit: {level}")
    return harm


async def _balanced_away(cluster: Cluster, shop: Shop, zombie: Node) -> None:
    """Waits for the second host, and sees to it that the first owns the shop's shard."""
    shard = Shard(COMMERCE, shard_of(shop.tenant_id, SHARDS))
    async with asyncio.timeout(10):
        while "h1" not in cluster.nodes or len(cluster.nodes["h1"].host.epochs) < SHARDS // 2:
            await asyncio.sleep(0.02)
    owner = cluster.owner_of(shard)
    if owner is not zombie:
        await owner.host.hand_over([shard], zombie.incarnation.id)
        await zombie.host.sync()
    await cluster.settled()


STOPS = [between_batches, before_the_transaction, after_the_proof, after_the_commit]


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("number", range(ROUNDS))
async def test_a_zombie_does_no_harm(urls: Urls, stop: Stop, number: int) -> None:
    harm = await _round(urls, stop)
    print(f"zombie stopped {stop.__name__}: takeover {harm.takeover_seconds:.2f} s, {harm}")
    assert not harm, harm
    assert harm.takeover_seconds < 3 * PATIENCE


@pytest.mark.parametrize(
    ("stop", "off"),
    [
        (before_the_transaction, [sabotage.proof_off, sabotage.lease_off]),
        (between_batches, [sabotage.lease_off]),
        (
            after_the_proof,
            [sabotage.share_off, sabotage.termination_off, sabotage.guard_off],
        ),
    ],
)
async def test_a_zombie_is_caught_without(
    urls: Urls, stop: Stop, off: list[Sabotage], monkeypatch: pytest.MonkeyPatch
) -> None:
    for switch in off:
        switch(monkeypatch)
    harm = await _round(urls, stop)
    print(f"{stop.__name__} without {[switch.__name__ for switch in off]}: {harm}")
    assert harm


async def test_a_takeover_waits_without_termination(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage.termination_off(monkeypatch)
    harm = await _round(urls, after_the_proof)
    print(f"without termination: takeover {harm.takeover_seconds:.2f} s, {harm}")
    assert not harm, "the proof holds the epochs, so the takeover waits, but nothing is stale"
    assert harm.takeover_seconds > 3
