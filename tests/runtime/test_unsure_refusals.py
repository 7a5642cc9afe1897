"""Who may be repeating: the command log is asked in the commit, or before a no is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import inf
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace as changed

from actors.families import decode_reply
from actors.runtime import committing, intake
from actors.runtime.wire import Answer, Envelope, Outcome
from actors.stock import model as m
from core.ids import uuid7
from store.hosts.connections import OutcomeUnknown
from tests.runtime.audit import audit
from tests.runtime.clients import Shop
from tests.runtime.kit import Urls, running
from tests.runtime.node import Node


@contextmanager
def _asked(node: Node) -> Iterator[list[int]]:
    """How many commands each question to the log, other than by a commit, was about."""
    sizes: list[int] = []
    plain = node.store.known

    async def known(command_ids: Any) -> Any:
        sizes.append(len(command_ids))
        return await plain(command_ids)

    with patch.object(node.store, "known", known):
        yield sizes


def _hold(shop: Shop, product: Any) -> Envelope:
    hold = m.Reserve(uuid7(), (m.Line(product, 1),), 60_000)
    return shop.envelope(hold, look_up=True)


@asynccontextmanager
async def _sold_out(
    urls: Urls,
) -> AsyncIterator[tuple[Node, Callable[[], Envelope], Envelope, Answer]]:
    """A node, what makes holds of a product, the one that got the last unit, and its answer, which
    is forgotten by all but the log."""
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(1)
        node = cluster.nodes["h0"]
        done = _hold(shop, product)
        (first,) = await node.host.submit([done])
        node.host._mailbox._remembered.clear()
        yield node, lambda: _hold(shop, product), done, first


def _replies(answers: list[Answer]) -> list[type]:
    assert {answer.outcome for answer in answers} == {Outcome.DONE}
    return [type(decode_reply(answer.reply)) for answer in answers]


async def test_a_repeat_among_new_commands_hears_the_first_answer(urls: Urls) -> None:
    """It costs its neighbours nothing but a second decision, and is found in the commit."""
    async with running(urls, 1) as cluster:
        shop, other = Shop(cluster), Shop(cluster)
        (product,), (theirs,) = await shop.stock(10), await other.stock(10)
        node = cluster.nodes["h0"]
        done = _hold(shop, product)
        (first,) = await node.host.submit([done])
        node.host._mailbox._remembered.clear()
        with _asked(node) as sizes:
            news = [_hold(shop, product), _hold(other, theirs), _hold(shop, product)]
            answers = await node.host.submit([news[0], done, *news[1:]])
            assert sizes == [1], "the log is asked for the repeat alone"
        assert answers[1] == first
        assert _replies(answers) == [m.Hold] * 4
        node.host._mailbox._remembered.clear()
        another_body = changed(done, fingerprint=b"other")
        assert (await node.host.submit([another_body]))[0].outcome is Outcome.MISMATCH
        levels = [await shop.level(product), await other.level(theirs)]
        assert [level.reserved for level in levels] == [3, 1]
        assert (await audit(urls, [*shop.log, *other.log])).clean


async def test_who_repeats_pays_for_it_alone(urls: Urls) -> None:
    """The first repeat has its neighbours decided twice; those that follow are looked up ahead."""
    async with running(urls, 1) as cluster:
        shop, other = Shop(cluster), Shop(cluster)
        (product,), (theirs,) = await shop.stock(10), await other.stock(10)
        node = cluster.nodes["h0"]
        done = [_hold(shop, product), _hold(shop, product)]
        first = await node.host.submit(done)
        commits = []
        plain = node.store.commit

        async def commit(*arguments: Any) -> None:
            commits.append(arguments)
            await plain(*arguments)

        with patch.object(node.store, "commit", commit):
            for again, answer, expected in zip(done, first, (2, 1), strict=True):
                node.host._mailbox._remembered.clear()
                commits.clear()
                answers = await node.host.submit([again, _hold(other, theirs)])
                assert answers[0] == answer
                assert _replies(answers) == [m.Hold] * 2
                assert len(commits) == expected


async def test_who_is_sold_out_is_asked_about_once_a_batch(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whose unit was the last hears so again, not that there is none."""
    # However long the machine takes, they are one batch.
    monkeypatch.setattr(intake, "MAX_TURN_SECONDS", inf)
    monkeypatch.setattr(committing, "MAX_DECIDE_SECONDS", inf)
    async with _sold_out(urls) as (node, hold, done, first):
        with _asked(node) as sizes:
            answers = await node.host.submit([*(hold() for _ in range(40)), done])
        assert sizes == [41, 1]
        assert answers[-1] == first
        assert _replies(answers[:-1]) == [m.Refused] * 40


@pytest.mark.parametrize("error", [OutcomeUnknown, RuntimeError])
async def test_a_no_waits_until_the_log_can_be_asked(urls: Urls, error: type[Exception]) -> None:
    async with _sold_out(urls) as (node, hold, done, first):
        plain, tried = node.store.known, asyncio.Event()

        async def fails(command_ids: Any) -> Any:
            if not tried.is_set():
                tried.set()
                raise error
            return await plain(command_ids)

        with patch.object(node.store, "known", fails):
            answers = await node.host.submit([hold(), done])
        assert tried.is_set()
        assert answers[1] == first
        assert _replies(answers) == [m.Refused, m.Hold]
