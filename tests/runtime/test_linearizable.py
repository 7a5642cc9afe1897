"""Promise 12: every history of one product, or of one whole shop, is one that a single owner could
have given, while hosts are killed, answers are lost and COMMITs are cut; and while hardly anything
stays in memory."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Any
from uuid import UUID

import pytest

from actors.runtime.memory import Memory
from actors.stock import model as m
from core.errors import CommandFailed, Conflict, Unavailable
from core.ids import uuid7
from tests.promises import Tally
from tests.runtime.audit import contradictions
from tests.runtime.clients import Request, Shop
from tests.runtime.conftest import LONG
from tests.runtime.faults import Faults
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.linear import Model, Operation, ShelfModel, TooHard, is_linearizable
from tests.runtime.linear_shop import WholeShop
from tests.runtime.proxy import Cut, proxied
from tests.runtime.shop_recorder import ShopRecorder
from tests.runtime.till_trade import audit

PRODUCTS = 60 if LONG else 12
SHOPS = 30 if LONG else 12
CLIENTS_PER_PRODUCT = 4
CLIENTS_PER_SHOP = 3
# Aggregates that a host keeps: a shop has twenty and more.
MEMORY = 40
SECONDS = 60 if LONG else 4
DEADLINE_MS = 700


class Recorder:
    """The clients of one product, and what they saw of it."""

    def __init__(self, shop: Shop, rng: random.Random) -> None:
        self.shop = shop
        self.rng = rng
        self.product = uuid7()
        self.history: list[Operation] = []
        self.holds: list[UUID] = []
        self.denied = 0

    async def client(self, until: float) -> None:
        while time.monotonic() < until and len(self.history) < 200:
            await asyncio.sleep(self.rng.random() * 0.02)
            roll = self.rng.random()
            if roll < 0.3:
                await self.did(("read",), None)
            elif roll < 0.4:
                quantity = self.rng.randint(1, 4)
                await self.did(("add", quantity), m.AddStock(self.product, quantity))
            elif roll < 0.6 and self.holds:
                hold = self.holds.pop(self.rng.randrange(len(self.holds)))
                await self.did(("release", hold), m.Release(hold))
            else:
                await self.reserve()

    async def reserve(self) -> None:
        hold, quantity = uuid7(), self.rng.randint(1, 3)
        # Known whether or not the answer comes, so that it may be released either way.
        self.holds.append(hold)
        command = m.Reserve(hold, (m.Line(self.product, quantity),), 600_000)
        await self.did(("reserve", hold, quantity), command)

    async def did(self, asked: tuple[Any, ...], command: m.Command | None) -> None:
        began = time.monotonic()
        try:
            if command is None:
                level = await self.shop.level(self.product)
                told: Any = (level.on_hand, level.reserved)
            else:
                request = Request(command)
                told = _told(await self.shop.send(request, deadline_ms=DEADLINE_MS))
        except (CommandFailed, Conflict, Unavailable) as error:
            self.denied += not isinstance(error, Unavailable)
            if command is not None:
                self.history.append(Operation(began, inf, asked))
            return
        self.history.append(Operation(began, time.monotonic(), asked, told))


def _told(reply: m.AnyReply) -> tuple[Any, ...]:
    if isinstance(reply, m.Refused):
        return ("no", reply.shortages[0].available) if reply.shortages else ("unheld",)
    level = reply.level if isinstance(reply, m.Freed) else reply.levels[0]
    return (level.on_hand, level.reserved)


async def _disturb(cluster: Cluster, rng: random.Random, until: float) -> None:
    while time.monotonic() < until:
        await asyncio.sleep(rng.uniform(0.5, 1.5))
        alive = [name for name, node in cluster.nodes.items() if node.alive]
        if alive:
            cluster.kill(rng.choice(alive))


async def _record(urls: Urls, rng: random.Random) -> tuple[list[Recorder], list[ShopRecorder]]:
    faults = Faults(rng, lose_request=0.01, lose_answer=0.02, repeat=0.03, max_delay_seconds=0.01)
    async with (
        proxied(urls.host) as proxy,
        running(urls, 2, faults=faults, host_url=proxy.url(urls.host), memory=MEMORY) as cluster,
    ):
        recorders = [Recorder(Shop(cluster), rng) for _ in range(PRODUCTS)]
        shops = [ShopRecorder(Shop(cluster), rng) for _ in range(SHOPS)]
        await asyncio.gather(*(shop.open() for shop in shops))
        weights = {Cut.NONE: 97, Cut.AFTER: 1, Cut.LATE: 1, Cut.BEFORE: 1}
        proxy.decide = lambda: rng.choices(list(weights), list(weights.values()))[0]
        until = time.monotonic() + SECONDS
        clients = [
            recorder.client(until) for recorder in recorders for _ in range(CLIENTS_PER_PRODUCT)
        ]
        clients += [shop.client(until) for shop in shops for _ in range(CLIENTS_PER_SHOP)]
        await asyncio.gather(*clients, _disturb(cluster, rng, until))
    return recorders, shops


def _summary(recorders: Sequence[Recorder | ShopRecorder]) -> str:
    histories = [recorder.history for recorder in recorders]
    sizes = [len(history) for history in histories]
    unknown = sum(operation.ended == inf for history in histories for operation in history)
    kinds = Counter(operation.asked[0] for history in histories for operation in history)
    return f"{len(sizes)} histories of {min(sizes)} to {max(sizes)}, {unknown} unknown: {kinds}"


def _explained(history: Sequence[Operation], model: Model) -> bool | None:
    """None: it has too many operations of unknown outcome for anybody to say."""
    try:
        return is_linearizable(history, model)
    except TooHard:
        return None


async def test_histories_are_linearizable(urls: Urls, rng: random.Random, tally: Tally) -> None:
    recorders, shops = await _record(urls, rng)
    print(_summary(recorders))
    print(_summary(shops))
    assert sum(len(recorder.history) for recorder in (*recorders, *shops)) > 100
    assert not any(recorder.denied for recorder in (*recorders, *shops))
    assert all(is_linearizable(recorder.history, ShelfModel()) for recorder in recorders)
    judged = [_explained(shop.history, WholeShop()) for shop in shops]
    assert False not in judged
    assert judged.count(True) > SHOPS / 2
    found = await contradictions(urls)
    assert not found, found
    assert not await audit(urls)
    everyone = (*recorders, *shops)
    tally(
        histories=len(recorders) + judged.count(True),
        operations=sum(len(recorder.history) for recorder in everyone),
        audits=1,
    )


async def _after_a_cut_commit(urls: Urls, rng: random.Random) -> Sequence[Operation]:
    """A COMMIT is executed but its answer lost: what was in memory before is no longer true."""
    async with (
        proxied(urls.host) as proxy,
        running(urls, 1, host_url=proxy.url(urls.host)) as cluster,
    ):
        recorder = Recorder(Shop(cluster), rng)
        await recorder.did(("add", 5), m.AddStock(recorder.product, 5))
        cuts = iter([Cut.AFTER])
        proxy.decide = lambda: next(cuts, Cut.NONE)
        await recorder.reserve()
        await recorder.did(("read",), None)
        assert proxy.cuts == 1
    return recorder.history


async def test_memory_is_forgotten_after_a_cut_commit(urls: Urls, rng: random.Random) -> None:
    assert is_linearizable(await _after_a_cut_commit(urls, rng), ShelfModel())


async def test_stale_memory_is_caught(
    urls: Urls, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Memory, "drop", lambda *arguments: None)
    assert not is_linearizable(await _after_a_cut_commit(urls, rng), ShelfModel())


# --- the checker itself ----------------------------------------------------------------------


def _line(*steps: tuple[float, float, Any, Any]) -> list[Operation]:
    return [Operation(*step) for step in steps]


ADD = (0, 1, ("add", 1), (1, 0))


@pytest.mark.parametrize(
    ("history", "possible"),
    [
        ([ADD, (2, 3, ("reserve", "a", 1), (1, 1)), (4, 5, ("read",), (1, 1))], True),
        ([ADD, (2, 3, ("reserve", "a", 1), (1, 1)), (4, 5, ("read",), (1, 0))], False),
        # Two at once: one of them gets it, whichever began first.
        ([ADD, (2, 9, ("reserve", "a", 1), ("no", 0)), (3, 8, ("reserve", "b", 1), (1, 1))], True),
        ([ADD, (2, 9, ("reserve", "a", 1), (1, 1)), (3, 8, ("reserve", "b", 1), (1, 1))], False),
        # Unknown: it may have happened, at any time, or not.
        ([ADD, (2, inf, ("reserve", "a", 1), None), (3, 4, ("read",), (1, 0))], True),
        (
            [
                ADD,
                (2, inf, ("reserve", "a", 1), None),
                (3, 4, ("read",), (1, 0)),
                (5, 6, ("read",), (1, 1)),
            ],
            True,
        ),
        (
            [
                ADD,
                (2, inf, ("reserve", "a", 1), None),
                (3, 4, ("read",), (1, 1)),
                (5, 6, ("read",), (1, 0)),
            ],
            False,
        ),
        # Sold out by a sale that never happened.
        ([ADD, (2, 3, ("reserve", "a", 1), ("no", 0)), (4, 5, ("read",), (1, 0))], False),
    ],
)
def test_the_checker(history: list[tuple[float, float, Any, Any]], possible: bool) -> None:
    assert is_linearizable(_line(*history), ShelfModel()) is possible
