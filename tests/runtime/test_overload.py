"""Promise 8: a slow disk sheds load. Refused at once, accepted in bounded time, memory bounded."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from statistics import quantiles
from uuid import UUID

import pytest

from actors.families import COMMERCE, decode_reply, encode_command
from actors.runtime import mailbox
from actors.runtime.wire import Outcome
from actors.stock import model as m
from core.errors import Unavailable
from core.ids import uuid7
from core.request import RequestKey
from tests.runtime.clients import Shop
from tests.runtime.conftest import PATIENCE
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.proxy import proxied

COMMIT_SECONDS = 0.5
ARRIVALS_PER_SECOND = 1_600


@dataclass
class Overload:
    """Answers by outcome: how long each took. And what is the machine's: the slowest batch, which
    may be slower than its commit, and how much later than due this process had its turn."""

    seconds: dict[Outcome, list[float]] = field(default_factory=dict)
    slowest_batch_seconds: float = 0.0
    worst_lag_seconds: float = 0.0
    depth: int = 0

    @property
    def longest_wait_seconds(self) -> float:
        """What may be asked for: the bound of the mailbox, and besides it the batch that runs
        when a command comes and the one that it ends in."""
        return mailbox.MAX_WAIT_SECONDS + 2 * self.slowest_batch_seconds

    def p99(self, outcome: Outcome) -> float:
        return quantiles(self.seconds[outcome], n=100)[98]

    def __str__(self) -> str:
        parts = [
            f"{outcome.name}: {len(times)}, p50 {sorted(times)[len(times) // 2]:.3f} s,"
            f" p99 {self.p99(outcome):.3f} s"
            for outcome, times in self.seconds.items()
        ]
        rest = (
            f"slowest batch {self.slowest_batch_seconds:.2f} s, worst lag"
            f" {self.worst_lag_seconds:.3f} s, at most {self.depth} waiting"
        )
        return "; ".join([*parts, rest])


async def _ask(cluster: Cluster, tenant_id: UUID, product: UUID) -> tuple[Outcome, float]:
    """By way of the bus, as a replica does."""
    now_ms = cluster.clock.now_ms()
    key = RequestKey(uuid7(), b"", False, now_ms, now_ms + 30_000)
    body = encode_command(m.Reserve(uuid7(), (m.Line(product, 1),), 60_000))
    began = time.monotonic()
    try:
        decided = await cluster.bus.send(COMMERCE, tenant_id, "shop", body, key)
    except Unavailable as error:
        assert "of this business" in error.detail, "it is refused because the mailbox is full"
        return Outcome.BUSY, time.monotonic() - began
    assert isinstance(decode_reply(decided.reply), m.Hold)
    return Outcome.DONE, time.monotonic() - began


async def _overload(urls: Urls, seconds: float) -> Overload:
    """Commands arrive one by one at a host whose commits take half a second."""
    seen = Overload()
    async with (
        proxied(urls.host) as proxy,
        running(urls, 1, host_url=proxy.url(urls.host)) as cluster,
    ):
        shop = Shop(cluster)
        (product,) = await shop.stock(1_000_000)
        node = cluster.nodes["h0"]
        box, pace = node.host._mailbox, node.host._mailbox.pace
        proxy.commit_seconds = COMMIT_SECONDS
        asking: list[asyncio.Task[tuple[Outcome, float]]] = []
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            while len(asking) < ARRIVALS_PER_SECOND * passed:
                asking.append(asyncio.create_task(_ask(cluster, shop.tenant_id, product)))
            resting = time.monotonic()
            await asyncio.sleep(0.005)
            lag = time.monotonic() - resting - 0.005
            seen.worst_lag_seconds = max(seen.worst_lag_seconds, lag)
            if pace.running:
                so_far = node.clock.boot_seconds() - pace._began_seconds
                seen.slowest_batch_seconds = max(seen.slowest_batch_seconds, so_far)
            seen.depth = max(seen.depth, len(box))
        for outcome, took in await asyncio.gather(*asking):
            seen.seconds.setdefault(outcome, []).append(took)
        proxy.commit_seconds = 0
        done = len(seen.seconds.get(Outcome.DONE, ()))
        assert (await shop.level(product)).reserved == done
    return seen


async def _overload_of_an_owner(urls: Urls, seconds: float) -> Overload:
    """Again where the machine kept the host from renewing its lease: then it answers nothing,
    and shows nothing of how it sheds load."""
    for _ in range(3):
        seen = await _overload(urls, seconds)
        if len(seen.seconds.get(Outcome.DONE, ())) > 1:
            return seen
    raise AssertionError("nothing was done")


async def test_a_slow_disk_sheds_load(urls: Urls) -> None:
    seen = await _overload_of_an_owner(urls, 4)
    print(seen)
    # To be answered takes a few turns.
    lag_seconds = 3 * seen.worst_lag_seconds
    assert seen.p99(Outcome.BUSY) < 0.05 * PATIENCE + lag_seconds
    assert seen.p99(Outcome.DONE) < seen.longest_wait_seconds * PATIENCE + lag_seconds
    # However slow the machine: no more is taken in than so many batches.
    assert seen.depth <= mailbox.MAX_BATCH * (mailbox.MAX_WAIT_SECONDS / COMMIT_SECONDS + 0.5)


async def test_a_growing_queue_is_caught_without_the_bound(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox.Pace, "bound", lambda *arguments: mailbox.MAX_WAITING)
    seen = await _overload_of_an_owner(urls, 2.5)
    print(f"without the bound: {seen}")
    assert Outcome.BUSY not in seen.seconds
    assert seen.p99(Outcome.DONE) > seen.longest_wait_seconds
