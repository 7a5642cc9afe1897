"""The demo's stages against a shop in memory: an honest one passes however bad the line to it is,
a dishonest one is found out."""

from __future__ import annotations

from collections import Counter

import httpx2
import pytest

from cli.api.client import ApiError, Client
from cli.demo import sellers
from cli.demo.day import plan_day
from cli.demo.meter import Meter, show_nothing
from cli.demo.proof import Proof
from cli.demo.reading import prove
from cli.demo.retail import Invoice
from cli.demo.sending import Manner, Refused
from cli.demo.shop import Shop
from cli.demo.stages import close_up, flash_sale, sell_day
from cli.demo.tenders import Tender, bill_of
from tests.unit.demo_shop import ShopInMemory, shop_at

CLIENTS = 8

INVOICES = [
    Invoice("1", False, Counter(LAMP=1, MUG=2)),
    Invoice("C2", True, Counter(MUG=1)),
    Invoice("3", False, Counter(LAMP=1)),
]
ROUNDS = 16


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sellers, "_ASK_AGAIN_SECONDS", 0.01)


async def whole_day(shop: Shop) -> Proof:
    plan = plan_day(INVOICES, ROUNDS, len(shop.tills))
    await sell_day(shop, plan, CLIENTS, show_nothing)
    await flash_sale(shop, ["LAMP", "MUG"], CLIENTS, show_nothing)
    await close_up(shop, show_nothing)
    return await prove(shop, ["LAMP", "MUG"], show_nothing)


@pytest.mark.parametrize("trouble", [0.0, 0.15])
async def test_an_honest_shop_passes(trouble: float) -> None:
    async with shop_at(ShopInMemory(trouble=trouble)) as shop:
        plan = plan_day(INVOICES, ROUNDS, len(shop.tills))
        day = await sell_day(shop, plan, CLIENTS, show_nothing)
        flash = await flash_sale(shop, ["LAMP", "MUG"], CLIENTS, show_nothing)
        await close_up(shop, show_nothing)
        proof = await prove(shop, ["LAMP", "MUG"], show_nothing)
    assert proof.holds, proof.faults
    assert (day.sales, day.returns, day.units) == (32, 16, 64)
    assert (day.refused, day.declined, day.settled_later) == (0, 2, 1)
    stock = proof.stock
    assert (stock.opening, stock.returned, stock.adjusted, stock.stock) == (100, 16, 0, 0)
    assert flash.units == 100 + 16 - 64
    assert flash.refused >= 2 * CLIENTS
    assert day.sent_twice + flash.sent_twice > 0
    repeated = day.repeated + flash.repeated
    assert (repeated > 0) == (trouble > 0)
    assert (0 < day.errors + flash.errors < repeated) == (trouble > 0)
    assert (proof.gift_cards, proof.card_payments, proof.card_sales) == (3, 13, 11)
    assert proof.split_sales == 3
    taken = sum(book.taken["card"] for book in shop.books.tills.values())
    assert proof.cards_minor == taken > 0
    receipts = sum(till.receipts for till in proof.tills)
    assert receipts == sum(till.sales + till.returns for till in proof.tills)
    assert all(till.expected_minor == till.counted_minor for till in proof.tills)


@pytest.mark.parametrize(
    ("weak", "fault"),
    [
        ("doubles", ""),
        ("loses", "the ledger has 0"),
        ("oversells", ""),
        ("overtaxes", "receipt of"),
        ("rounds", "gave back"),
        ("skips", "there is no receipt 5 of"),
        ("miscounts", "the Z report has paid in"),
        ("shortchanges", "gift card"),
        ("keeps", "of its cards, due was []"),
        ("forgets returns", "brought back"),
    ],
)
async def test_a_dishonest_shop_is_found_out(weak: str, fault: str) -> None:
    async with shop_at(ShopInMemory(weak, trouble=0.05)) as shop:
        proof = await whole_day(shop)
    assert not proof.holds
    assert any(fault in told for told in proof.faults)


async def test_a_refused_invoice_is_a_contradiction() -> None:
    async with shop_at(ShopInMemory()) as shop:
        plan = plan_day([Invoice("9", False, Counter(LAMP=41))], 1, 1)
        await sell_day(shop, plan, 1, show_nothing)
        await close_up(shop, show_nothing)
        proof = await prove(shop, [], show_nothing)
    assert proof.faults == ["9 was refused, {'lamp': 40} available"]


async def test_sold_out_with_something_left_is_a_contradiction() -> None:
    async with shop_at(ShopInMemory()) as shop:
        await close_up(shop, show_nothing)
        proof = await prove(shop, ["LAMP"], show_nothing)
    assert proof.faults == ["LAMP: refused as sold out, but 40 are left"]


async def test_goods_that_were_never_sold_come_back_as_an_adjustment() -> None:
    async with shop_at(ShopInMemory()) as shop:
        plan = plan_day([Invoice("C1", True, Counter(MUG=3))], 1, 1)
        day = await sell_day(shop, plan, 1, show_nothing)
        await close_up(shop, show_nothing)
        proof = await prove(shop, [], show_nothing)
    assert proof.holds, proof.faults
    assert (day.returns, proof.stock.adjusted, proof.stock.stock) == (0, 3, 103)


async def test_till_and_page_are_told_what_is_left() -> None:
    async with shop_at(ShopInMemory()) as shop:
        meter = Meter("Stage")
        page, till = shop.pages[0], shop.tills[0]
        bill = bill_of({"lamp": 3}, shop.prices_minor)
        assert await page.sell({"lamp": 39}, "a", meter, Manner.TWICE) is None
        refused = await till.sell("b", bill, Tender.CARD, meter, Manner.TWICE)
        assert refused == Refused({"lamp": 1})
        assert await page.sell({"lamp": 1}, "c", meter, Manner.HANGS_UP) is None
    assert (meter.units, meter.refused, meter.sent_twice) == (40, 1, 2)


async def test_another_error_ends_the_run() -> None:
    async with shop_at(ShopInMemory(), tills=1) as shop:
        refuse = httpx2.MockTransport(lambda _: httpx2.Response(403, json={"code": "forbidden"}))
        async with httpx2.AsyncClient(transport=refuse) as http:
            shop.tills[0].sender.client = Client("http://shop", http=http)
            with pytest.raises(ApiError, match="403 forbidden"):
                await sell_day(shop, plan_day(INVOICES, 1, 1), 2, show_nothing)
