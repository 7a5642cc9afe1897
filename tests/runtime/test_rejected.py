"""A command whose data the database refuses gets its error alone; nobody's decision rests on a
neighbour that never happened."""

from __future__ import annotations

import pytest

from actors.stock import model as m
from core.errors import CommandFailed
from core.ids import uuid7
from tests.runtime import sabotage
from tests.runtime.audit import audit
from tests.runtime.batches import in_one_batch
from tests.runtime.clients import Request, Shop
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.poison import BREAKS, NEGATIVE, POISONED, TOO_LARGE

STOCK = 10


def _reserve(product: object, quantity: int, reference: str | None = None) -> Request:
    return Request(m.Reserve(uuid7(), (m.Line(product, quantity),), 600_000, reference))


async def _batch_with_poison(urls: Urls, reference: str) -> tuple[list[object], Cluster]:
    async with running(urls, 1, families=POISONED) as cluster:
        shop = Shop(cluster)
        product, other = await shop.stock(STOCK, 2)
        # The culprit takes 8 of 10 and poisons the level. If its 8 counted, the next would be
        # sold out; and if its answer were kept, it would think that it holds 8.
        requests = [
            _reserve(other, 3),
            _reserve(product, 8, reference),
            _reserve(product, 5),
            _reserve(product, 5),
            _reserve(product, 1),
            _reserve(other, 7),
        ]
        told = await in_one_batch(cluster, shop, requests)
        levels = [await shop.level(product), await shop.level(other)]
        found = await audit(urls, [request for request in shop.log if request is not requests[1]])
        assert found.clean, found
        # Memory and database agree: another host, which loads from the latter, says the same.
        cluster.kill("h0")
        assert [await shop.level(product), await shop.level(other)] == levels
        return told, cluster


@pytest.mark.parametrize("reference", [NEGATIVE, TOO_LARGE, BREAKS])
async def test_the_culprit_alone_gets_its_error(urls: Urls, reference: str) -> None:
    told, _ = await _batch_with_poison(urls, reference)
    first, culprit, five, five_more, none_left, last = told
    # Our own fault, wherever it shows: in the rule, or as a row that the database refuses.
    assert isinstance(culprit, CommandFailed)
    assert (culprit.status, culprit.code) == (500, "command_failed")
    assert isinstance(first, m.Hold)
    assert isinstance(last, m.Hold)
    assert isinstance(five, m.Hold)
    assert isinstance(five_more, m.Hold), "nobody is sold out by a sale that never happened"
    assert isinstance(none_left, m.Refused)


async def test_a_decision_on_a_ghost_is_caught_without_the_undo(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage.undo_off(monkeypatch)
    with pytest.raises((AssertionError, ValueError)):
        told, _ = await _batch_with_poison(urls, NEGATIVE)
        assert isinstance(told[2], m.Hold)


async def test_a_repeat_of_a_culprit_is_a_new_try(urls: Urls) -> None:
    """Nothing was written, so nothing is remembered: its key may be used again."""
    async with running(urls, 1, families=POISONED) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(STOCK)
        request = _reserve(product, 8, NEGATIVE)
        for _ in range(2):
            with pytest.raises(CommandFailed):
                await shop.send(request)
        assert (await shop.level(product)).reserved == 0


async def test_many_culprits_do_not_stop_their_neighbours(urls: Urls) -> None:
    async with running(urls, 1, families=POISONED) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(1_000)
        requests = [
            _reserve(product, 1, NEGATIVE if number % 7 == 3 else None) for number in range(100)
        ]
        told = await in_one_batch(cluster, shop, requests)
        culprits = sum(isinstance(reply, CommandFailed) for reply in told)
        sold = sum(isinstance(reply, m.Hold) for reply in told)
        assert (culprits, sold) == (14, 86)
        assert (await shop.level(product)).reserved == sold
