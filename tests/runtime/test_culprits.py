"""What cannot be written ends its own command alone: the culprit in a group is found."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import asyncpg
import pytest

from actors.runtime.wire import Outcome
from actors.stock import model as m
from core.errors import CommandFailed
from core.ids import uuid7
from store.hosts.batches import Procedure
from tests.runtime.batches import in_one_batch
from tests.runtime.clients import Request, hold_of, two_shops
from tests.runtime.kit import Urls, running
from tests.runtime.poison import NEGATIVE, POISONED
from tests.waiting import until


async def _commits_for_a_culprit(urls: Urls, neighbours: int) -> tuple[int, int]:
    """How many transactions a batch with one culprit among its neighbours takes, and the same
    batch once more."""
    async with running(urls, 1, families=POISONED) as cluster:
        good, bad, node = await two_shops(cluster)
        (product,), (theirs,) = await good.stock(10_000), await bad.stock(100)
        plain, counts, commits = node.store.commit, [], 0

        async def counted(*arguments: Any) -> None:
            nonlocal commits
            commits += 1
            await plain(*arguments)

        with patch.object(node.store, "commit", counted):
            for _ in range(2):
                commits = 0
                envelopes = [good.envelope(hold_of(product)) for _ in range(neighbours)]
                poison = m.Reserve(uuid7(), (m.Line(theirs, 1),), 60_000, NEGATIVE)
                envelopes.insert(neighbours // 2, bad.envelope(poison))
                async with node.host._turn:
                    told = asyncio.create_task(node.host.submit(envelopes))
                    await until(lambda: len(node.host._mailbox.ready) == neighbours + 1)
                outcomes = [answer.outcome for answer in await told]
                assert outcomes.count(Outcome.BROKEN) == 1
                assert outcomes.count(Outcome.DONE) == neighbours
                counts.append(commits)
        return counts[0], counts[1]


async def test_a_culprit_is_found_by_halves_and_then_suspected(urls: Urls) -> None:
    first, again = await _commits_for_a_culprit(urls, 100)
    assert first <= 20
    assert again <= 3, "its neighbours are not decided twice because of it"


@pytest.mark.parametrize("step", ["keys", "project"])
async def test_a_rule_that_breaks_ends_its_own_command_alone(urls: Urls, step: str) -> None:
    rules = type(POISONED["commerce"].rules)
    plain = getattr(rules, step)

    def breaks(self: Any, subject: Any, *rest: Any) -> Any:
        found = [change.event for change in subject] if step == "project" else [subject]
        if any(getattr(thing, "reference", None) == "a bug" for thing in found):
            raise ArithmeticError("a bug in a rule")
        return plain(self, subject, *rest)

    async with running(urls, 1, families=POISONED) as cluster:
        shop, _, node = await two_shops(cluster)
        (product,) = await shop.stock(100)
        epochs = node.host.epochs
        requests = [shop.reserve(product) for _ in range(10)]
        requests[4] = Request(m.Reserve(uuid7(), (m.Line(product, 1),), 60_000, "a bug"))
        with patch.object(rules, step, breaks):
            if step == "project":
                told = await in_one_batch(cluster, shop, requests)
            else:
                told = await asyncio.gather(*map(shop.send, requests), return_exceptions=True)
        assert [type(reply) for reply in told].count(m.Hold) == 9
        assert isinstance(told[4], CommandFailed)
        assert node.host.epochs == epochs, "memory and tenure are kept"
        assert (await shop.level(product)).reserved == 9


async def test_rows_that_cannot_be_sent_end_their_own_command_alone(urls: Urls) -> None:
    plain = Procedure.arguments

    def breaks(self: Any, batch: Any, *others: Any) -> Any:
        if "a bug" in str(batch):
            raise AttributeError("a row of another shape")
        return plain(self, batch, *others)

    async with running(urls, 1) as cluster:
        shop, _, node = await two_shops(cluster)
        (product,) = await shop.stock(100)
        epochs = node.host.epochs
        requests = [shop.reserve(product) for _ in range(6)]
        requests[2] = Request(m.Reserve(uuid7(), (m.Line(product, 1),), 60_000, "a bug"))
        with patch.object(Procedure, "arguments", breaks):
            told = await in_one_batch(cluster, shop, requests)
        assert [type(reply) for reply in told].count(m.Hold) == 5
        assert isinstance(told[2], CommandFailed)
        assert node.host.epochs == epochs, "memory and tenure are kept"


async def test_a_row_that_is_not_as_remembered_is_never_written_over(urls: Urls) -> None:
    """Whatever made memory and database differ: the host reads again, and decides on what is."""
    async with running(urls, 1) as cluster:
        shop, _, node = await two_shops(cluster)
        (product,) = await shop.stock(10)
        connection = await asyncpg.connect(urls.owner)
        await connection.execute(
            "UPDATE stock_levels SET on_hand = 40, sequence = sequence + 1 WHERE product_id = $1",
            product,
        )
        await connection.close()
        level = await shop.do(m.AddStock(product, 1))
        assert isinstance(level, m.Levels)
        assert level.levels[0].on_hand == 41
        assert node.alive


# A sequence is not rolled back with the transaction.
_DEADLOCKS = """
CREATE SEQUENCE tries;
GRANT USAGE ON tries TO PUBLIC;
CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF nextval('tries') < 3 THEN
    RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER deadlocks BEFORE INSERT ON reservations EXECUTE FUNCTION deadlock();"""


async def test_a_transaction_that_the_database_ends_is_tried_again(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop, _, node = await two_shops(cluster)
        (product,) = await shop.stock(10)
        epochs = node.host.epochs
        owner = await asyncpg.connect(urls.owner)
        await owner.execute(_DEADLOCKS)
        assert isinstance(await shop.send(shop.reserve(product)), m.Hold)
        assert await owner.fetchval("SELECT last_value FROM tries") == 3
        await owner.close()
        assert node.host.epochs == epochs
