"""One tenant does the worst that it may; another one's single reserve is decided all the same,
before the culprit's queue is done, and the host keeps its lease. What it takes in time is shown
by the benchmark."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import asyncpg
import pytest

from actors.runtime import mailbox
from actors.runtime.host import Host
from actors.runtime.mailbox import Pace
from actors.runtime.wire import Envelope, Outcome
from actors.stock import model as m
from core.ids import uuid7
from tests.runtime.clients import Shop
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.node import Node, SteerableClock
from tests.runtime.poison import NEGATIVE, POISONED

LEDGER, LINES, HOLDS = 20_000, 400, 1_500
TTL_MS = 60_000

Culprit = Callable[[Cluster, Shop], Awaitable[list[Envelope]]]


def _hold(product: UUID, reference: str | None = None) -> m.Reserve:
    return m.Reserve(uuid7(), (m.Line(product, 1),), TTL_MS, reference)


async def _counts(cluster: Cluster, shop: Shop) -> list[Envelope]:
    """Of a product with a long ledger, each of another moment."""
    (hot,) = await shop.stock(1_000)
    owner = await asyncpg.connect(cluster.urls.owner)
    await owner.execute(
        "INSERT INTO stock_movements (product_id, location_id, sequence, tenant_id, kind,"
        " on_hand_delta, reserved_delta, incoming_delta, on_hand_after, reserved_after,"
        " incoming_after, command_id, created_by, occurred_at, recorded_at)"
        " SELECT $1, $2, 1 + n, $2, 'sold', 0, 0, 0, 1000, 0, 0, gen_random_uuid(), 'x',"
        " now() - interval '7 hours', now() FROM generate_series(1, $3::int) AS n",
        hot,
        shop.tenant_id,
        LEDGER,
    )
    await owner.execute(
        "UPDATE stock_levels SET sequence = 1 + $2 WHERE product_id = $1", hot, LEDGER
    )
    await owner.close()
    cluster.nodes["h0"].host._memory.drop()
    before_ms = cluster.clock.now_ms() - 5 * 3_600_000
    return [
        shop.envelope(m.Count((m.CountLine(hot, 900, before_ms + number),))) for number in range(40)
    ]


async def _adjustments(cluster: Cluster, shop: Shop) -> list[Envelope]:
    lines = (tuple(m.Adjustment(uuid7(), 1, None, "add") for _ in range(LINES)) for _ in range(12))
    return [shop.envelope(m.Adjust(some, "other")) for some in lines]


async def _refused_rows(cluster: Cluster, shop: Shop) -> list[Envelope]:
    (theirs,) = await shop.stock(1_000)
    return [shop.envelope(_hold(theirs, NEGATIVE)) for _ in range(200)]


async def _flash_sale(cluster: Cluster, shop: Shop) -> list[Envelope]:
    (hot,) = await shop.stock(10_000)
    return [shop.envelope(_hold(hot)) for _ in range(2_500)]


async def _mass_expiry(cluster: Cluster, shop: Shop) -> list[Envelope]:
    (hot,) = await shop.stock(HOLDS)
    host = cluster.nodes["h0"].host
    for _ in range(HOLDS // 500):
        await host.submit([shop.envelope(_hold(hot)) for _ in range(500)])
    cluster.clock.ahead_ms += TTL_MS + m.GRACE_MS - 20_000
    await asyncio.sleep(0.6)  # It looks ahead, and finds them.
    cluster.clock.ahead_ms += 21_000
    return []


def _a_slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is taken than a batch, beyond everybody's share."""
    monkeypatch.setattr(Pace, "bound", lambda *_: mailbox.MAX_BATCH_WEIGHT)


async def _neighbour(urls: Urls, culprit: Culprit) -> tuple[Outcome, bool]:
    """How a reserve ends that comes after all that the culprit asks; and whether something of
    that is still to be decided when it is answered."""
    clock = SteerableClock(calibrates=False)
    async with running(urls, 1, families=POISONED, clock=clock) as cluster:
        small, big = Shop(cluster), Shop(cluster)
        (product,) = await small.stock(10)
        node = cluster.nodes["h0"]
        asked, epochs = await culprit(cluster, big), node.host.epochs
        async with node.host._turn:
            many = node.host.take(asked)
            node.host._call_due(cluster.clock.now_ms())
            await _queued(node.host)
            one = asyncio.create_task(node.host.submit([small.envelope(_hold(product))]))
            await asyncio.sleep(0)  # It is taken in.
            assert _of(node, small)
            await _queued(node.host)
        (answer,) = await one
        waiting = _of(node, big)
        assert node.alive
        assert node.host.holds_lease
        await asyncio.wait_for(many.all(), 30)
        assert node.host.epochs == epochs, "nobody's memory was forgotten because of it"
        return answer.outcome, waiting


async def _queued(host: Host) -> None:
    """Returns when all that was not turned away waits to be decided."""
    box = host._mailbox
    async with asyncio.timeout(10):
        while not host._intake.is_idle or len(box.ready) < len(box):
            await asyncio.sleep(0.01)


def _of(node: Node, shop: Shop) -> bool:
    """Whether works of a tenant are open."""
    return any(work.context.tenant_id == shop.tenant_id for work in node.host._mailbox._works)


@pytest.mark.parametrize(
    "culprit", [_counts, _adjustments, _refused_rows, _flash_sale, _mass_expiry]
)
async def test_a_neighbour_is_served_first(
    urls: Urls, culprit: Culprit, monkeypatch: pytest.MonkeyPatch
) -> None:
    _a_slow_disk(monkeypatch)
    assert await _neighbour(urls, culprit) == (Outcome.DONE, True)
