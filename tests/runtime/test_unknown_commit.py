"""Promise 4: a COMMIT whose answer was lost is resolved; each command has exactly one effect."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import asyncpg
import pytest

from actors.runtime.batch import Work
from actors.runtime.committing import Committing
from actors.runtime.ownership import Ownership
from actors.stock import model as m
from tests.promises import Tally
from tests.runtime import sabotage
from tests.runtime.audit import Findings, audit
from tests.runtime.clients import Request, Shop
from tests.runtime.conftest import LONG
from tests.runtime.kit import Urls, running
from tests.runtime.proxy import Cut, proxied
from tests.waiting import until

CUTS = 1_000 if LONG else 25
CLIENTS = 6
STOCK = 1_000_000


@dataclass
class Outcome:
    cuts: dict[Cut, int]
    found: Findings
    sold: int
    bought: int

    @property
    def exact(self) -> bool:
        return self.found.clean and self.sold == self.bought

    def __str__(self) -> str:
        cuts = {cut.name: count for cut, count in self.cuts.items()}
        return f"cuts {cuts}: {self.sold} sold, {self.bought} bought; {self.found}"


async def _cut(urls: Urls, rng: random.Random, cuts: int, kinds: list[Cut]) -> Outcome:
    """Clients buy, each until told; every third COMMIT is cut in one of the ways."""
    counts = dict.fromkeys(kinds, 0)
    async with (
        proxied(urls.host) as proxy,
        running(urls, 1, host_url=proxy.url(urls.host)) as cluster,
    ):
        shop = Shop(cluster)
        (product,) = await shop.stock(STOCK)

        def decide() -> Cut:
            if rng.random() > 0.3:
                return Cut.NONE
            kind = rng.choice(kinds)
            counts[kind] += 1
            return kind

        async def client() -> None:
            while sum(counts.values()) < cuts:
                request = shop.reserve(product, rng.randint(1, 3))
                request.client_supplied = rng.random() < 0.5
                await shop.insist(request)

        proxy.decide = decide
        told = await asyncio.gather(*(client() for _ in range(CLIENTS)), return_exceptions=True)
        proxy.decide = lambda: Cut.NONE
        refused = [outcome for outcome in told if isinstance(outcome, BaseException)]
        level = await shop.level(product)
        found = await audit(urls, shop.log)
        assert all(isinstance(error, Exception) for error in refused), refused
        bought = sum(_quantity(request) for request in shop.log if request.said_yes)
        return Outcome(counts, found, level.reserved, bought)


def _quantity(request: Request) -> int:
    command = request.command
    return command.lines[0].quantity if isinstance(command, m.Reserve) else 0


async def test_an_unknown_commit_is_resolved(urls: Urls, rng: random.Random, tally: Tally) -> None:
    outcome = await _cut(urls, rng, CUTS, [Cut.BEFORE, Cut.AFTER, Cut.LATE])
    print(outcome)
    assert outcome.exact, outcome
    tally(cuts=sum(outcome.cuts.values()), commands=outcome.found.asked, audits=1)


async def test_an_unresolved_commit_is_caught_without_the_log(
    urls: Urls, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage.log_unread(monkeypatch)
    outcome = await _cut(urls, rng, 5, [Cut.AFTER])
    print(f"without the log: {outcome}")
    assert not outcome.exact


async def _told_after_a_late_commit(urls: Urls) -> tuple[int, int]:
    """Somebody reserves and hangs up, and the COMMIT comes late, when its host has long loaded
    the level anew. How much is reserved then, by the host and by the database."""
    async with (
        proxied(urls.host) as proxy,
        running(urls, 1, host_url=proxy.url(urls.host)) as cluster,
    ):
        shop = Shop(cluster)
        (product,) = await shop.stock(STOCK)
        sending = asyncio.create_task(shop.send(shop.reserve(product, 3)))

        def once() -> Cut:
            proxy.decide = lambda: Cut.NONE
            sending.cancel()
            return Cut.LATE

        proxy.decide = once
        await asyncio.wait([sending])
        assert (await shop.level(product)).reserved == 0
        await until(lambda: proxy.swallowed == 1)
        owner = await asyncpg.connect(urls.owner)
        query = "SELECT reserved FROM stock_levels WHERE product_id = $1"
        there = await owner.fetchval(query, product)
        await owner.close()
        return (await shop.level(product)).reserved, there


async def test_a_commit_that_comes_late_is_refused(urls: Urls) -> None:
    assert await _told_after_a_late_commit(urls) == (0, 0)


async def test_a_late_commit_is_caught_without_new_epochs(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage.recovery_epochs_off(monkeypatch)
    assert await _told_after_a_late_commit(urls) == (0, 3)


async def test_a_cancellation_within_a_turn_ends_no_host(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of something that the turn waited for, after the batch was written: nobody was told, so the
    host forgets, and the repeat hears what was decided."""
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        run, start_over = Committing.run, Ownership.start_over
        cancelled, reasons = asyncio.Event(), list[str]()

        async def cut_off(committing: Committing, works: list[Work]) -> None:
            await run(committing, works)
            if works and not cancelled.is_set():
                cancelled.set()
                raise asyncio.CancelledError

        async def noted(ownership: Ownership, reason: str) -> None:
            reasons.append(reason)
            await start_over(ownership, reason)

        monkeypatch.setattr(Committing, "run", cut_off)
        monkeypatch.setattr(Ownership, "start_over", noted)
        for _ in range(2):
            await shop.insist(shop.reserve(product, 1))
        assert reasons == ["CancelledError()"]
        assert (await shop.level(product)).reserved == 2
