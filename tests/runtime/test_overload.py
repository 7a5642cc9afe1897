"""Promise 8: a slow disk sheds load. Refused at once, accepted in bounded time, memory bounded."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from statistics import quantiles

import pytest

from actors.runtime import mailbox
from actors.runtime.wire import Answer, Envelope, Outcome
from actors.stock import model as m
from core.ids import uuid7
from tests.runtime.clients import Shop
from tests.runtime.conftest import PATIENCE
from tests.runtime.kit import Node, Urls, running
from tests.runtime.proxy import proxied

COMMIT_SECONDS = 0.5
ARRIVALS_PER_SECOND = 2_000


@dataclass
class Overload:
    """Answers by outcome: how long each took. And the slowest batch, which on a busy machine is
    slower than its commit."""

    seconds: dict[Outcome, list[float]] = field(default_factory=dict)
    slowest_batch_seconds: float = 0.0
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
        rest = f"slowest batch {self.slowest_batch_seconds:.2f} s, at most {self.depth} waiting"
        return "; ".join([*parts, rest])


async def _ask(node: Node, envelope: Envelope) -> tuple[Answer, float]:
    began = time.monotonic()
    (answer,) = await node.host.submit([envelope])
    return answer, time.monotonic() - began


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
        asking: list[asyncio.Task[tuple[Answer, float]]] = []
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            while len(asking) < ARRIVALS_PER_SECOND * passed:
                line = m.Reserve(uuid7(), (m.Line(product, 1),), 60_000)
                asking.append(asyncio.create_task(_ask(node, shop.envelope(line))))
            await asyncio.sleep(0.005)
            if pace.running:
                so_far = node.clock.boot_seconds() - pace._began_seconds
                seen.slowest_batch_seconds = max(seen.slowest_batch_seconds, so_far)
            seen.depth = max(seen.depth, len(box))
        for answer, took in await asyncio.gather(*asking):
            seen.seconds.setdefault(answer.outcome, []).append(took)
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
    assert seen.p99(Outcome.BUSY) < 0.05 * PATIENCE
    assert seen.p99(Outcome.DONE) < seen.longest_wait_seconds * PATIENCE
    assert seen.depth < ARRIVALS_PER_SECOND * mailbox.MAX_WAIT_SECONDS


async def test_a_growing_queue_is_caught_without_the_bound(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox.Pace, "bound", lambda *arguments: mailbox.MAX_WAITING)
    seen = await _overload_of_an_owner(urls, 2.5)
    print(f"without the bound: {seen}")
    assert Outcome.BUSY not in seen.seconds
    assert seen.p99(Outcome.DONE) > seen.longest_wait_seconds
