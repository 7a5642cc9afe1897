"""The till on the real runtime: hosts that are killed in mid-sale, and a gift card that a
thousand want to spend."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from actors.messages import Refused
from actors.till import messages as t
from actors.till import model as m
from core.ids import uuid7
from tests.runtime.clients import Request
from tests.runtime.conftest import LONG
from tests.runtime.kit import Cluster, Faults, Urls, running
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


async def test_sales_under_kills_leave_the_books_in_step(urls: Urls, rng: random.Random) -> None:
    faults = Faults(rng, lose_request=0.01, lose_answer=0.03, repeat=0.05, max_delay_seconds=0.01)
    async with running(urls, 2, faults=faults) as cluster:
        trade = await Trade.open(cluster, rng, registers=3, units=400)
        clerks = [asyncio.create_task(trade.clerk()) for _ in range(CLERKS)]
        kills = await _killing(cluster, rng, trade)
        await asyncio.gather(*clerks)
        await cluster.settled()
    sold, returned = len(trade.sold), len(trade.returned)
    print(f"{kills} kills, {sold} sales, {returned} returns")
    assert kills >= SECONDS / 2
    assert sold > 50
    assert not await audit(urls)
    # What was answered is there, and nothing else is.
    assert {sale.sale_id for sale in trade.sold} == await ids(urls, "pos_sales")
    assert {one.return_id for one in trade.returned} == await ids(urls, "pos_returns")


async def test_a_thousand_redemptions_spend_exactly_the_balance(
    urls: Urls, rng: random.Random
) -> None:
    async with running(urls, 2) as cluster:
        trade = await Trade.open(cluster, rng, registers=2, units=10_000)
        card = uuid7()
        line = m.SaleLine(
            card, card, "Gift card", "", 1, BALANCE_MINOR, 0, 0, 0, BALANCE_MINOR, (), card
        )
        cash = (t.Tender(m.Method.CASH, BALANCE_MINOR),)
        place = trade.shop.tenant_id
        new = (t.NewCard(card, "WXYZ"),)
        issued = await trade.shop.do(
            t.Sell(uuid7(), trade.registers[0], place, "EUR", (line,), cash, new_cards=new)
        )
        assert isinstance(issued, t.SaleMade)
        wanted = []
        for _ in range(REDEMPTIONS):
            sale = trade.sale()
            due = sum(one.total_minor for one in sale.lines)
            tenders = (t.Tender(m.Method.GIFT_CARD, due, card_id=card),)
            wanted.append(Request(_with(sale, tenders)))
        replies = await asyncio.gather(*(trade.shop.insist(one) for one in wanted))
        made = [reply for reply in replies if isinstance(reply, t.SaleMade)]
        refused = Counter(reply.code for reply in replies if isinstance(reply, Refused))
        spent = sum(payment.amount_minor for one in made for payment in one.sold.sale.payments)
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
