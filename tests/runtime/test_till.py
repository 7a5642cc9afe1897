"""The till on the real runtime: hosts that are killed in mid-sale, and a gift card that a
thousand want to spend."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from actors.messages import Refused
from actors.stock import model as stock
from actors.till import messages as t
from actors.till import model as m
from actors.till import sell
from core.errors import CommandFailed
from core.ids import uuid7
from tests.promises import Tally
from tests.runtime import sabotage
from tests.runtime.clients import Request
from tests.runtime.conftest import LONG
from tests.runtime.faults import Faults
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.till_trade import Trade, audit, ids

SECONDS = 60 if LONG else 6
CLERKS = 12
REDEMPTIONS = 1_000
BALANCE_MINOR = 35_000


async def _killing(cluster: Cluster, rng: random.Random, trade: Trade) -> int:
    kills, until = 0, asyncio.get_running_loop().time() + SECONDS
    while asyncio.get_running_loop().time() < until:
        await asyncio.sleep(rng.uniform(0.3, 1.0))
        alive = [name for name, node in cluster.nodes.items() if node.alive]
        if alive:
            cluster.kill(rng.choice(alive))
            kills += 1
    trade.ending = True
    return kills


async def _traded(urls: Urls, rng: random.Random) -> tuple[Trade, int]:
    """Clerks sell and take back while hosts are killed; how many were."""
    faults = Faults(rng, lose_request=0.01, lose_answer=0.03, repeat=0.05, max_delay_seconds=0.01)
    async with running(urls, 2, faults=faults) as cluster:
        trade = await Trade.open(cluster, rng, registers=3, units=400)
        clerks = [asyncio.create_task(trade.clerk()) for _ in range(CLERKS)]
        kills = await _killing(cluster, rng, trade)
        await asyncio.gather(*clerks)
        await cluster.settled()
    print(f"{kills} kills, {len(trade.sold)} sales, {len(trade.returned)} returns")
    return trade, kills


async def _as_answered(urls: Urls, trade: Trade) -> bool:
    """What was answered is there, and nothing else is."""
    sales, returns = await ids(urls, "pos_sales"), await ids(urls, "pos_returns")
    return {sale.sale_id for sale in trade.sold} == sales and {
        made.return_id for made in trade.returned
    } == returns


async def test_sales_under_kills_leave_the_books_in_step(
    urls: Urls, rng: random.Random, tally: Tally
) -> None:
    trade, kills = await _traded(urls, rng)
    assert kills >= SECONDS / 2
    assert trade.sold
    assert not await audit(urls)
    assert await _as_answered(urls, trade)
    tally(kills=kills, sales=len(trade.sold), audits=1)


async def test_offline_sales_that_many_upload_under_kills_are_recorded_once(
    urls: Urls, rng: random.Random, tally: Tally
) -> None:
    faults = Faults(rng, lose_request=0.01, lose_answer=0.03, repeat=0.05, max_delay_seconds=0.01)
    async with running(urls, 2, faults=faults) as cluster:
        trade = await Trade.open(cluster, rng, registers=2, units=30)
        people = [asyncio.create_task(trade.uploader()) for _ in range(4)]
        people += [asyncio.create_task(trade.clerk()) for _ in range(4)]
        kills = await _killing(cluster, rng, trade)
        await asyncio.gather(*people)
        await cluster.settled()
    print(f"{kills} kills, {len(trade.paper)} sales on paper, {len(trade.uploaded)} uploads")
    assert not await audit(urls)
    paper = {sale.sale_id for sale in trade.paper}
    assert await ids(urls, "pos_sales") == paper | {sale.sale_id for sale in trade.sold}
    made = Counter(reply.sale_id for reply in trade.uploaded if isinstance(reply, t.SaleMade))
    assert set(made) == paper
    assert set(made.values()) == {1}
    tally(kills=kills, uploads=len(trade.uploaded), audits=1)


async def test_a_lost_sale_is_caught_without(
    urls: Urls, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage.answers_first(monkeypatch)
    trade, _ = await _traded(urls, rng)
    assert not await _as_answered(urls, trade)


async def test_the_database_keeps_a_card_from_going_below_zero_without_the_rule(
    urls: Urls, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CHECK is the last line of defence."""
    monkeypatch.setattr(sell, "_bad_card", lambda *arguments: None)
    async with running(urls, 1) as cluster:
        trade = await Trade.open(cluster, rng, registers=1, units=100)
        card = await _issued(trade, 100)
        sale = trade.sale()
        due = sum(line.total_minor for line in sale.lines)
        tenders = (t.Tender(m.Method.GIFT_CARD, due, card_id=card),)
        with pytest.raises(CommandFailed):
            await trade.shop.do(_with(sale, tenders))
    assert not await audit(urls)


async def test_what_is_made_under_a_fresh_id_is_not_looked_for(
    urls: Urls, rng: random.Random
) -> None:
    """Sales and holds are decided once, from memory alone."""
    async with running(urls, 1) as cluster:
        trade = await Trade.open(cluster, rng, registers=1, units=1_000)
        node = cluster.owner_of_tenant(trade.shop.tenant_id)
        await trade.shop.do(stock.GetLevels(tuple(trade.goods)))
        hold = stock.Reserve(uuid7(), (stock.Line(trade.goods[0], 1),), 60_000)
        asked: list[Any] = []

        async def nothing(loader: Any, keys: Any) -> dict[Any, Any]:
            asked.extend(keys)
            return {}

        with patch.object(node.store, "load", nothing), patch.object(node.store, "ask", nothing):
            for _ in range(3):
                assert isinstance(await trade.shop.do(trade.sale()), t.SaleMade)
                again = stock.Reserve(uuid7(), hold.lines, 60_000)
                assert isinstance(await trade.shop.do(again), stock.Hold)
        assert not asked
    assert not await audit(urls)


async def _issued(trade: Trade, amount_minor: int) -> UUID:
    """A new gift card, sold for cash."""
    card = uuid7()
    line = m.SaleLine(card, card, "Gift card", "", 1, amount_minor, 0, 0, 0, amount_minor, (), card)
    cash = (t.Tender(m.Method.CASH, amount_minor),)
    place, new = trade.shop.tenant_id, (t.NewCard(card, "WXYZ"),)
    made = await trade.shop.do(
        t.Sell(uuid7(), trade.registers[0], place, "EUR", (line,), cash, new_cards=new)
    )
    assert isinstance(made, t.SaleMade)
    return card


async def test_a_thousand_redemptions_spend_exactly_the_balance(
    urls: Urls, rng: random.Random
) -> None:
    async with running(urls, 2) as cluster:
        trade = await Trade.open(cluster, rng, registers=2, units=10_000)
        card = await _issued(trade, BALANCE_MINOR)
        wanted = []
        for _ in range(REDEMPTIONS):
            sale = trade.sale()
            due = sum(line.total_minor for line in sale.lines)
            tenders = (t.Tender(m.Method.GIFT_CARD, due, card_id=card),)
            wanted.append(Request(_with(sale, tenders)))
        replies = await asyncio.gather(*(trade.shop.insist(request) for request in wanted))
        made = [reply for reply in replies if isinstance(reply, t.SaleMade)]
        refused = Counter(reply.code for reply in replies if isinstance(reply, Refused))
        spent = sum(payment.amount_minor for reply in made for payment in reply.sold.sale.payments)
        read = await trade.shop.do(t.DisableCard(card))
        print(f"{len(made)} sales, {dict(refused)}, {spent} of {BALANCE_MINOR} spent")
        assert isinstance(read, t.CardState)
        # Each line costs the same, so the last cent is always reached.
        assert (spent, read.card.balance_minor) == (BALANCE_MINOR, 0)
        assert set(refused) == {"gift_card_short"}
        assert len(made) + sum(refused.values()) == REDEMPTIONS
    assert not await audit(urls)


def _with(sale: t.Sell, tenders: tuple[t.Tender, ...]) -> t.Sell:
    return t.Sell(
        sale.sale_id, sale.register_id, sale.location_id, sale.currency, sale.lines, tenders
    )
