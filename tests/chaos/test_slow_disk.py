"""Promise 8 over HTTP: with half a second per commit, who cannot be served soon is told so at
once, who is accepted waits a bounded time, and no process grows."""

from __future__ import annotations

import asyncio
import os
import random
import time
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any
from uuid import uuid4

import pytest

from core.principal import Role
from tests.api.shop import open_shop
from tests.chaos.client import Client, Unknown
from tests.chaos.faults import slow_commits
from tests.promises import Tally
from tests.stack import Stack

CHAOS = "HOLDFAST_CHAOS" in os.environ
COMMIT_SECONDS = 0.5
# Each asks for so many goods at once: a hundred of them are a full batch, and as many wait.
CLIENTS, LINES = 300, 20
# How long it is slow at least; longer where the machine is, until there is enough to judge by.
SECONDS = 15.0 if CHAOS else 5.0
MAX_SECONDS, ENOUGH = 90.0, 100
# As its answer asks for; not all at once, or what is measured is how they crowd.
PAUSE_SECONDS = (0.7, 1.5)
# The clients share the machine with what they ask, and all of it with others: beside what an
# answer takes that needs no host.
REFUSED_SECONDS, ACCEPTED_SECONDS = 0.25, 2.5
# Who came before the first slow batch was over was let in by how fast the disk had been.
LEARNED_SECONDS = 2.0
GROWTH_BYTES = 100 << 20


@dataclass
class Overload:
    """How long answers took, in seconds; `other` is neither a yes nor a typed refusal."""

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    done: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        passed = time.monotonic() - self.began
        enough = min(len(self.accepted), len(self.refused)) >= ENOUGH
        return (passed > SECONDS and enough) or passed > MAX_SECONDS

    async def ask(self, client: Client, body: dict[str, Any]) -> None:
        since = self.began + LEARNED_SECONDS
        while not self.over:
            began = time.monotonic()
            try:
                await client.attempt("POST", "/api/inventory/reserve", str(uuid4()), body, 60)
                self.done += 1
                if began > since:
                    self.accepted.append(time.monotonic() - began)
            except Unknown as unknown:
                if not str(unknown).startswith("503 b'{"):
                    self.other.append(str(unknown))
                elif began > since:
                    self.refused.append(time.monotonic() - began)
                await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
        client.hang_up()

    async def look(self, client: Client) -> None:
        """How long it takes to be answered at all."""
        while not self.over:
            began = time.monotonic()
            await client.attempt("GET", "/health", None, None)
            self.plain.append(time.monotonic() - began)
            await asyncio.sleep(0.02)
        client.hang_up()

    def __str__(self) -> str:
        return (
            f"{len(self.accepted)} accepted, p50 {median(self.accepted):.2f} s,"
            f" p99 {_p99(self.accepted):.2f} s; {len(self.refused)} refused,"
            f" p50 {median(self.refused):.3f} s, p99 {_p99(self.refused):.3f} s; plain answers"
            f" p99 {_p99(self.plain):.3f} s"
        )


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98]


def _memory(stack: Stack) -> dict[int, int]:
    processes = (*stack.hosts(), *stack.replicas())
    return {process.pid: process.memory_info().rss for process in processes}


@pytest.mark.timeout(300)
async def test_a_slow_disk_sheds_load(victim: Stack, figures: list[str], tally: Tally) -> None:
    await asyncio.to_thread(victim.wait_ready)
    async with open_shop(victim) as shop:
        goods = await asyncio.gather(*(shop.product(100_000) for _ in range(LINES)))
        body = {"lines": [{"productId": product, "quantity": 1} for product in goods]}
        token = victim.token(Role.OWNER, shop.tenant, shop.owner.id)
        before = _memory(victim)
        async with slow_commits(victim, COMMIT_SECONDS):
            seen = Overload()
            clients = (Client(victim.settings.port, token) for _ in range(CLIENTS))
            await asyncio.gather(
                seen.look(Client(victim.settings.port, token)),
                *(seen.ask(client, body) for client in clients),
            )
            after = _memory(victim)
        grown = max(after.get(pid, 0) - size for pid, size in before.items())
        assert len(seen.accepted) >= ENOUGH
        assert len(seen.refused) >= ENOUGH, f"{len(seen.accepted)} accepted"
        figures.append(f"slow disk: {seen}; grown by {grown >> 20} MB")
        assert not seen.other, seen.other[:3]
        assert median(seen.accepted) > COMMIT_SECONDS
        # By how much is told where there is time, and the machine is measured beside it.
        assert median(seen.refused) < median(seen.accepted)
        assert await shop.level(goods[0]) == (
            100_000 - seen.done,
            100_000,
            seen.done,
        )
    if CHAOS:
        assert _p99(seen.refused) < REFUSED_SECONDS + _p99(seen.plain)
        assert _p99(seen.accepted) < ACCEPTED_SECONDS + _p99(seen.plain)
        assert grown < GROWTH_BYTES
    tally(refused=len(seen.refused), accepted=len(seen.accepted))
