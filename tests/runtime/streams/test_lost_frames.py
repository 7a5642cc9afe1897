"""Promise 5 where commands go by a stream: lost, delayed and repeated frames, and connections that
are cut within one, are harmless. Real sockets, a real host, a real database."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path

import pytest

from actors.runtime import sockets
from actors.runtime.directory import Owner
from actors.runtime.stream import Deliver, Stream
from core.settings import Settings
from tests.promises import Tally
from tests.runtime import sabotage
from tests.runtime.audit import Findings, audit
from tests.runtime.clients import Request, Shop
from tests.runtime.conftest import LONG
from tests.runtime.faults import Faults
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.streams.frame_proxy import MAX_LATE_SECONDS, FrameProxy
from tests.runtime.traffic import Traffic

COMMANDS = 50_000 if LONG else 3_000
MAX_SECONDS = 600 if LONG else 40
# Where a mechanism is off, which hundreds of frames that come twice bring out.
SHORT_SECONDS = 12
KINDS = ("lost", "repeated", "cut", "came later again")
CLIENTS = 64


@asynccontextmanager
async def _behind_a_proxy(
    cluster: Cluster, faults: Faults, home: Path
) -> AsyncIterator[FrameProxy]:
    """The cluster's one host hears its replica on real sockets, by way of a proxy."""
    here, there = Settings(home=home / "replica"), Settings(home=home / "host")

    async def stream(owner: Owner, deliver: Deliver, changed: Callable[[], None]) -> Stream:
        return await sockets.connect(here, owner.incarnation, deliver, changed)

    (node,) = cluster.nodes.values()
    server = await sockets.listen(there, node.incarnation.id, node.host.receive)
    proxy = FrameProxy(sockets.socket_path(there, node.incarnation.id), faults)
    door = await proxy.listen(sockets.socket_path(here, node.incarnation.id))
    cluster.transport.stream = stream  # type: ignore[method-assign, assignment]
    try:
        yield proxy
    finally:
        door.close()
        server.close()
        await proxy.close()
        for settings in (here, there):
            shutil.rmtree(settings.run_dir, ignore_errors=True)


async def _trade(
    urls: Urls, rng: random.Random, home: Path, seconds: float = MAX_SECONDS
) -> tuple[list[Request], Findings, FrameProxy]:
    faults = Faults(
        rng,
        lose_request=0.01,
        lose_answer=0.01,
        repeat=0.1,
        cut=0.01,
        max_delay_seconds=0.004,
    )
    async with running(urls, 1) as cluster, _behind_a_proxy(cluster, faults, home) as proxy:
        shop = Shop(cluster)
        traffic = Traffic(shop, await shop.stock(2_000, 6), rng)
        await asyncio.gather(traffic.run(CLIENTS, inf), _end_when_tried(traffic, proxy, seconds))
        faults.cut = faults.lose_request = faults.lose_answer = faults.repeat = 0
        await asyncio.sleep(MAX_LATE_SECONDS)
        return shop.log, await audit(urls, shop.log), proxy


async def _end_when_tried(traffic: Traffic, proxy: FrameProxy, seconds: float) -> None:
    """Or when there was time enough, as where a mechanism is off."""
    until_seconds = time.monotonic() + seconds
    while time.monotonic() < until_seconds and (
        len(traffic.shop.answered_at) < COMMANDS or not all(proxy.seen[kind] for kind in KINDS)
    ):
        await asyncio.sleep(0.02)
    traffic.end()


async def test_lost_frames_are_harmless(
    urls: Urls, rng: random.Random, tmp_path: Path, tally: Tally
) -> None:
    log, found, proxy = await _trade(urls, rng, tmp_path)
    print(f"{found}; {dict(proxy.seen)}")
    assert found.clean, found
    assert found.acked > COMMANDS / 2
    # One in twenty hangs up, and never hears.
    assert sum(not request.replies for request in log) < len(log) / 10
    tally(commands=found.acked, lost_frames=proxy.seen["lost"], audits=1)


async def test_a_double_is_caught_without_the_memory_of_answers(
    urls: Urls, rng: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage.memory_of_answers_off(monkeypatch)
    _, found, _ = await _trade(urls, rng, tmp_path, SHORT_SECONDS)
    print(f"without the memory of answers: {found}")
    assert not found.clean
