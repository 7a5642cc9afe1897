"""Repeats at the till after one thing has changed, and at the same time as the first try."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from gateway import keys
from tests.api.pos.card_kit import (
    PRICE,
    audit,
    kept,
    pay,
)
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_after_a_new_price(shop: Shop) -> None:
    tea = await shop.goods(2.5)
    first = await shop.sell(tea, key="k", expectedTotal=2.5)
    done(await shop.owner.call("PUT", f"/api/products/{tea}", {"price": 3}))
    again = await shop.sell(tea, key="k", expectedTotal=2.5)
    assert (again.status_code, again.json()) == (201, first.json())
    problem(await shop.sell(tea, key="k", expectedTotal=3), 422, "idempotency_key_reused")
    problem(await shop.sell(tea, key="other", expectedTotal=2.5), 409, "total_changed")
    assert await shop.on_hand(tea) == 9


async def test_after_the_name_went_to_something_else(shop: Shop) -> None:
    tea = await shop.goods(2.5, sku="TEA")
    body = {"lines": [{"sku": "TEA"}]}
    first = await shop.sell(tea, key="k", **body)
    done(await shop.owner.call("PUT", f"/api/products/{tea}", {"sku": "OLD"}))
    problem(await shop.sell(tea, **body), 404)
    assert (await shop.sell(tea, key="k", **body)).json() == first.json()
    await shop.goods(9, sku="TEA")
    assert (await shop.sell(tea, key="k", **body)).json() == first.json()


async def test_after_its_location_went(shop: Shop) -> None:
    place = done(
        await shop.owner.post(
            "/api/business/locations", {"name": "Pop-up", "timeZone": "Europe/Berlin"}
        )
    )["id"]
    named = {"name": "Pop-up", "locationId": place}
    register = done(await shop.owner.post("/api/pos/registers", named, key="k"))
    shift = f"/api/pos/registers/{register['id']}/shifts"
    opened = done(await shop.owner.post(shift, {"openingFloat": 5.55}, key="k"))
    parked = {"basket": {"locationId": place, "lines": [{"productId": await shop.goods()}]}}
    aside = done(await shop.owner.post("/api/pos/parked-sales", parked, key="k"))
    done(await shop.owner.post(f"{shift}/close", {"counted": 5.55}))
    assert (await shop.owner.call("DELETE", shift.removesuffix("/shifts"))).is_success
    assert (await shop.owner.call("DELETE", f"/api/business/locations/{place}")).is_success
    problem(await shop.owner.post("/api/pos/registers", named), 404)
    assert done(await shop.owner.post("/api/pos/registers", named, key="k")) == register
    assert done(await shop.owner.post(shift, {"openingFloat": 5.55}, key="k")) == opened
    assert done(await shop.owner.post("/api/pos/parked-sales", parked, key="k")) == aside


@pytest.mark.parametrize("is_kept", [True, False], ids=["added", "replaced"])
async def test_after_the_signing_key_was_rotated(
    shop: Shop, is_kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is the one on the paper, or it is not told at all."""
    tea = await shop.goods(2.5)
    body = {"registerId": shop.register, "refundTo": "store_credit"}
    sale = done(await shop.sell(tea, payments=[{"method": "external", "amount": 2.5}]))
    returns = f"/api/pos/sales/{sale['id']}/returns"
    against = body | {"lines": [{"number": 1, "quantity": 1}]}
    without = body | {"lines": [{"productId": tea, "quantity": 1}], "reason": "gift"}
    card = {"registerId": shop.register, "amount": 5, "payments": [{"method": "cash", "amount": 5}]}

    async def codes() -> list[str | None]:
        made = [
            done(await shop.owner.post(returns, against, key="k"))["storeCredit"],
            done(await shop.owner.post("/api/pos/returns", without, key="k"))["storeCredit"],
            done(await shop.owner.post("/api/pos/gift-cards", card, key="k"))["giftCard"],
        ]
        assert [card["balance"] for card in made] == [2.5, 2.5, 5]
        return [card["code"] for card in made]

    first = await codes()
    for code in first:
        found = await shop.owner.get("/api/pos/gift-cards/balance", params={"code": code})
        assert done(found)["balance"] in (2.5, 5)
    ring: Any = shop.served.resources.edge.keys
    folder = shop.served.resources.settings.home_path / "keys"
    before = set(folder.glob("*.pem"))
    keys.rotate(folder)
    (added,) = set(folder.glob("*.pem")) - before
    old = dict(ring._keys)
    new = keys._by_id(keys._read(folder))
    try:
        # The tokens of this test's people are good until they end.
        monkeypatch.setattr(shop.served.resources.edge.tokens, "_keys", _Trusting(old))
        found = new if is_kept else {name: key for name, key in new.items() if name not in old}
        monkeypatch.setattr(ring, "_keys", found)
        assert await codes() == (first if is_kept else [None] * 3)
    finally:
        added.unlink()


class _Trusting:
    """Verifies what the keys before the rotation have signed."""

    def __init__(self, known: dict[str, keys.SigningKey]) -> None:
        self._known = known

    def public(self, key_id: str) -> Any:
        return self._known[key_id].public


async def test_a_key_is_one_sale_however_it_is_paid(shop: Shop) -> None:
    tea = await shop.goods(PRICE)
    for first, second in (("cash", "card"), ("card", "cash")):
        ways = {"cash": shop.sell(tea, key=first), "card": pay(shop, tea, "tok_approve", key=first)}
        done(await ways[first])
        problem(await ways[second], 422, "idempotency_key_reused")
    assert await shop.on_hand(tea) == 8


@asynccontextmanager
async def held_back(shop: Shop) -> AsyncIterator[asyncio.Event]:
    """The first command that a replica sends is on its way until the block ends; the event says
    that it has set out."""
    resources: Any = shop.served.resources
    bus, left, may_go = resources.bus, asyncio.Event(), asyncio.Event()

    class Slow:
        read = bus.read

        async def send(self, *arguments: Any) -> Any:
            if not left.is_set():
                left.set()
                await may_go.wait()
            return await bus.send(*arguments)

    resources.bus = Slow()
    try:
        yield left
    finally:
        may_go.set()
        resources.bus = bus


async def test_a_first_try_under_way_hears_what_its_repeat_was_told(shop: Shop) -> None:
    """One key has one answer, also where the world changes between two tries that overlap."""
    tea = await shop.goods(2.5)
    async with held_back(shop) as left:
        first = asyncio.create_task(shop.sell(tea, key="k", expectedTotal=2.5))
        await left.wait()
        done(await shop.owner.call("PUT", f"/api/products/{tea}", {"price": 3}))
        second = await shop.sell(tea, key="k", expectedTotal=2.5)
    refused = problem(second, 409, "total_changed")
    assert refused["total"] == 3
    assert problem(await first, 409, "total_changed")["total"] == 3
    assert await shop.sees("SELECT id FROM pos_sales") == []


async def test_a_refusal_is_given_again_in_its_own_words(shop: Shop) -> None:
    tea = await shop.goods(2.5)
    told = []
    for price in (3, 4):
        done(await shop.owner.call("PUT", f"/api/products/{tea}", {"price": price}))
        told.append(problem(await shop.sell(tea, key="k", expectedTotal=2.5), 409))
        assert told[-1].pop("requestId")
    assert told[0] == told[1]
    assert told[0]["total"] == 3
    # Nobody can repeat a key of the gateway's making, so nothing is asked for it.
    nameless = {"registerId": shop.register, "lines": [{"productId": str(uuid4())}]}
    path, auth = "/api/pos/sales", shop.owner.auth
    problem(await shop.owner.http.post(path, json=nameless, headers=auth), 404)


@pytest.mark.parametrize("tokens", [("tok_approve",), ("tok_slow",)], ids="".join)
async def test_the_last_unit_is_not_lost_to_its_own_hold(
    shop: Shop, tokens: tuple[str, ...]
) -> None:
    """The same card sale twice, some ms apart: both hear the one sale."""
    offsets_ms = range(12)
    for offset_ms in offsets_ms:
        tea = await shop.goods(PRICE, 1)

        async def late(key: str, product: str = tea, after_ms: int = offset_ms) -> Any:
            await asyncio.sleep(after_ms / 1000)
            return await pay(shop, product, *tokens, key=key)

        key = str(uuid4())
        answers = await asyncio.gather(late(key, after_ms=0), late(key))
        assert [answer.status_code for answer in answers] == [201, 201], answers[1].text
        assert len({answer.json()["data"]["id"] for answer in answers}) == 1
        assert await shop.on_hand(tea) == await shop.available(tea) == 0
    assert await kept(shop) == round(PRICE * 100) * len(offsets_ms)


async def test_goods_that_left_the_shelf_before_they_were_held(shop: Shop) -> None:
    """The draft still saw the product, its owner does not sell it any more."""
    tea = await shop.goods(PRICE, 3)
    async with held_back(shop) as left:
        paying = asyncio.create_task(pay(shop, tea, "tok_approve"))
        await left.wait()
        assert (await shop.owner.call("DELETE", f"/api/products/{tea}")).is_success
    problem(await paying, 409, "product_discontinued")
    assert await audit(shop, tea, 3) == (0, 0)
