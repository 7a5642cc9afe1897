"""Card payments: whatever happens on the way, each ends as exactly one of a sale or no money."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from core.settings import Settings
from deployments.pos.card_sales import CardSales, CardWorker
from deployments.pos.provider import Sandbox
from tests.api.shop import done, problem
from tests.api.till_kit import TillShop, till_shop

PRICE = 7.0


@pytest.fixture
async def shop(embedded: Settings) -> AsyncIterator[TillShop]:
    async with till_shop(embedded) as opened:
        resources: Any = opened.served.resources
        resources.cards = CardSales(
            resources.db,
            resources.bus,
            Sandbox(resources.db, slow_seconds=0.1),
            resources.clock,
            charge_timeout_seconds=1.0,
        )
        yield opened


async def pay(shop: TillShop, product: str, token: str, **rest: Any) -> httpx.Response:
    payment = {"method": "card", "amount": PRICE, "token": token}
    return await shop.sell(product, **({"payments": [payment]} | rest))


async def settle(shop: TillShop) -> None:
    """Runs the worker until nothing waits."""
    resources: Any = shop.served.resources
    await shop.rows("UPDATE card_payments SET claimed_until = now() RETURNING id")
    worker = CardWorker(resources.db, resources.cards)
    while await worker.round():
        pass


async def kept(shop: TillShop) -> int:
    """What the provider has kept of this business's charges, in minor units."""
    found = await shop.rows(
        "SELECT coalesce(sum(c.amount_minor - coalesce((SELECT sum(r.amount_minor)"
        " FROM sandbox_refunds r WHERE r.charge_key = c.key), 0)), 0)::bigint AS kept"
        " FROM sandbox_charges c JOIN card_payments p ON c.key = p.id::text"
        " WHERE c.status = 'approved'"
    )
    return int(found[0]["kept"])


async def audit(shop: TillShop, product: str, stock: int) -> tuple[int, int]:
    """Sales and money agree, goods too, and nothing is held any more: (sales, money kept)."""
    sales = await shop.rows("SELECT status FROM pos_sales")
    money = await kept(shop)
    assert money == round(PRICE * 100) * len(sales)
    assert await shop.on_hand(product) == await shop.available(product) == stock - len(sales)
    ended = await shop.rows("SELECT DISTINCT status FROM card_payments")
    assert {row["status"] for row in ended} <= {"completed", "declined", "refunded"}
    return len(sales), money


@pytest.mark.parametrize("token", ["tok_approve", "tok_slow"])
async def test_approved(shop: TillShop, token: str) -> None:
    tea = await shop.product(PRICE, 3)
    sale = done(await pay(shop, tea, token))
    assert sale["payments"][0]["method"] == "card"
    assert sale["payments"][0]["reference"].startswith("sbx_")
    assert await audit(shop, tea, 3) == (1, 700)


async def test_declined(shop: TillShop) -> None:
    tea = await shop.product(PRICE, 3)
    problem(await pay(shop, tea, "tok_decline", key="k"), 402, "card_declined")
    problem(await pay(shop, tea, "tok_decline", key="k"), 402, "card_declined")
    assert await audit(shop, tea, 3) == (0, 0)


@pytest.mark.parametrize(("token", "sales"), [("tok_unknown", 1), ("tok_unknown_declined", 0)])
async def test_an_unknown_outcome_is_settled_later(shop: TillShop, token: str, sales: int) -> None:
    tea = await shop.product(PRICE, 3)
    began = await pay(shop, tea, token, key="k")
    assert began.status_code == 202, began.text
    where = began.headers["location"]
    assert done(await shop.owner.get(where))["status"] == "pending"
    assert (await shop.available(tea), await shop.on_hand(tea)) == (2, 3)
    # Nobody else waits meanwhile.
    cash = [{"method": "cash", "amount": PRICE}]
    async with asyncio.timeout(5):
        done(await shop.sell(tea, payments=cash))
    await settle(shop)
    ended = done(await shop.owner.get(where))
    assert ended["status"] == ("completed" if sales else "declined")
    repeated = await pay(shop, tea, token, key="k")
    assert repeated.status_code == (201 if sales else 402)
    assert await kept(shop) == 700 * sales
    assert await shop.available(tea) == 2 - sales


async def test_a_charge_that_cannot_become_a_sale_goes_back(shop: TillShop) -> None:
    tea = await shop.product(PRICE, 3)
    began = await pay(shop, tea, "tok_unknown", key="k")
    assert began.status_code == 202
    closing = f"/api/pos/registers/{shop.register}/shifts/close"
    done(await shop.owner.post(closing, {"counted": 100}))
    await settle(shop)
    ended = done(await shop.owner.get(began.headers["location"]))
    assert (ended["status"], ended["problem"]) == ("refunded", "shift_closed")
    found = problem(await pay(shop, tea, "tok_unknown", key="k"), 409, "sale_not_completed")
    assert found["reason"] == "shift_closed"
    assert await audit(shop, tea, 3) == (0, 0)


async def test_what_could_not_be_sold_is_not_charged(shop: TillShop) -> None:
    tea = await shop.product(PRICE, 0)
    problem(await pay(shop, tea, "tok_approve"), 409, "insufficient_stock")
    assert await shop.rows("SELECT id FROM card_payments") == []
    cards = [{"method": "card", "amount": 1, "token": "tok_approve"}] * 2
    problem(await shop.sell(tea, payments=cards), 400)


async def test_a_return_owes_the_card_its_money(shop: TillShop) -> None:
    tea = await shop.product(PRICE, 3)
    sale = done(await pay(shop, tea, "tok_approve"))
    body = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 1}]}
    made = done(await shop.owner.post(f"/api/pos/sales/{sale['saleId']}/returns", body))
    assert made["refunds"] == [{"method": "card", "amount": PRICE}]
    await settle(shop)
    assert await kept(shop) == 0
    owed = await shop.rows("SELECT return_id FROM card_refunds WHERE refunded_at IS NULL")
    assert owed == []
    assert (await shop.report())["expectedCash"] == 100


async def test_the_same_payment_driven_by_many_is_one(shop: TillShop) -> None:
    tea = await shop.product(PRICE, 9)
    answers = await asyncio.gather(*(pay(shop, tea, "tok_approve", key="k") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["saleId"] for answer in answers}) == 1
    assert await audit(shop, tea, 9) == (1, 700)


class Cut(BaseException):
    """The process dies here."""


class Dying:
    """Counts the steps of a payment as they pass its collaborators; the process dies after one
    of them: what was done is done, and nobody hears of it."""

    def __init__(self, dies_after: int) -> None:
        self.left = dies_after

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Cut

    def wrap(self, inner: Any, *names: str) -> Any:
        dying = self

        class Wrapped:
            def __getattr__(self, name: str) -> Any:
                method = getattr(inner, name)
                if name not in names:
                    return method

                async def call(*arguments: Any, **options: Any) -> Any:
                    answer = await method(*arguments, **options)
                    dying.step()
                    return answer

                return call

        return Wrapped()


class DyingDb:
    """Dies after a transaction has committed."""

    def __init__(self, db: Any, dying: Dying) -> None:
        self._db, self._dying = db, dying

    def transaction(self, scope: Any) -> Any:
        return _Transaction(self._db.transaction(scope), self._dying)


class _Transaction:
    def __init__(self, inner: Any, dying: Dying) -> None:
        self._inner, self._dying = inner, dying

    async def __aenter__(self) -> Any:
        return await self._inner.__aenter__()

    async def __aexit__(self, *error: Any) -> Any:
        handled = await self._inner.__aexit__(*error)
        if error[0] is None:
            self._dying.step()
        return handled


@pytest.mark.parametrize("token", ["tok_approve", "tok_decline"])
async def test_cut_after_each_step_it_ends_the_same(shop: TillShop, token: str) -> None:
    tea = await shop.product(PRICE, 200)
    resources: Any = shop.served.resources
    whole, cuts = resources.cards, 0
    for dies_after in range(1, 40):
        dying = Dying(dies_after)
        resources.cards = CardSales(
            DyingDb(resources.db, dying),  # type: ignore[arg-type]
            dying.wrap(resources.bus, "send", "read"),
            dying.wrap(Sandbox(resources.db), "charge", "find", "cancel"),
            resources.clock,
            charge_timeout_seconds=1.0,
        )
        key = f"cut-{token}-{dies_after}"
        try:
            await pay(shop, tea, token, key=key)
            survived = True
        except BaseException as error:
            assert _is_cut(error), error
            survived = False
        resources.cards = whole
        if survived:
            break
        cuts += 1
        if dies_after % 2:
            # Half of the clients come back with the same key, the worker ends the others.
            await pay(shop, tea, token, key=key)
    assert cuts >= 6
    await settle(shop)
    # What was held before an intent was written expires by itself.
    held = await shop.rows("SELECT id FROM reservations WHERE status = 'open'")
    for row in held:
        done(await shop.owner.post(f"/api/inventory/reservations/{row['id']}/release"))
    assert len(held) <= 2
    sales, _ = await audit(shop, tea, 200)
    assert (sales > 0) is (token == "tok_approve")


def _is_cut(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_cut(one) for one in error.exceptions)
    return isinstance(error, Cut)
