"""Card payments that nobody waits for any more, and refunds that the provider will not make."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import Unavailable
from core.principal import Role
from deployments.pos.card_payments.provider import RefundRefused, Sandbox
from deployments.pos.card_payments.service import CARDS, MAX_REFUND_ATTEMPTS
from tests.api.pos.card_kit import (
    PRICE,
    audit,
    dying,
    is_cut,
    kept,
    pay,
    saga,
    settle,
)
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASH = [{"method": "cash", "amount": PRICE}]


async def close_and_open(shop: Shop, counted: float) -> None:
    path = f"/api/pos/registers/{shop.register}/shifts"
    done(await shop.owner.post(f"{path}/close", {"counted": counted}))
    done(await shop.owner.post(path, {"openingFloat": 50}))


async def test_no_sale_in_a_later_shift(shop: Shop) -> None:
    """The customer paid in cash meanwhile, and the next shift knows nothing of it."""
    tea = await shop.goods(PRICE, 3)
    began = await pay(shop, tea, "tok_unknown", key="k")
    done(await shop.sell(tea, payments=CASH))
    await close_and_open(shop, 100 + PRICE)
    await settle(shop)
    ended = done(await shop.owner.get(began.headers["location"]))
    assert (ended["status"], ended["problem"]) == ("refunded", "shift_closed")
    assert (await kept(shop), await shop.available(tea)) == (0, 2)


async def test_called_off_at_the_till(shop: Shop) -> None:
    tea = await shop.goods(PRICE, 3)
    began = await pay(shop, tea, "tok_unknown", key="k")
    path = began.headers["location"] + "/abandon"
    ended = done(await shop.owner.post(path, key="off"))
    assert (ended["status"], ended["saleId"], ended["problem"]) == ("refunded", None, "abandoned")
    assert done(await shop.owner.post(path, key="off")) == ended
    # The customer pays in cash; what the provider knew by then was given back.
    done(await shop.sell(tea, payments=CASH))
    await settle(shop)
    found = problem(await pay(shop, tea, "tok_unknown", key="k"), 409, "sale_not_completed")
    assert found["reason"] == "abandoned"
    assert (await kept(shop), await shop.available(tea)) == (0, 2)
    lines = await shop.sees("SELECT subject FROM audit_log WHERE action = 'card_payment.abandoned'")
    assert [str(line["subject"]) for line in lines] == [ended["id"]]


async def test_what_was_sold_is_not_called_off(shop: Shop) -> None:
    tea = await shop.goods(PRICE, 3)
    began = await pay(shop, tea, "tok_unknown", key="k")
    await settle(shop)
    refused = await shop.owner.post(began.headers["location"] + "/abandon")
    sale = (await pay(shop, tea, "tok_unknown", key="k")).json()["data"]
    assert problem(refused, 409, "card_payment_completed")["saleId"] == sale["id"]
    assert await audit(shop, tea, 3) == (1, 700)


async def test_a_cashier_calls_off_their_own(shop: Shop) -> None:
    tea = await shop.goods(PRICE, 9)
    ann, bob = await shop.caller(Role.CASHIER), await shop.caller(Role.CASHIER)
    began = await pay(shop, tea, "tok_unknown", by=ann)
    path = began.headers["location"] + "/abandon"
    problem(await bob.post(path), 403, "not_your_shift")
    assert done(await ann.post(path))["status"] == "refunded"
    theirs = await shop.open_register(bob)
    began = await pay(shop, tea, "tok_unknown", by=ann, registerId=theirs)
    assert done(await bob.post(began.headers["location"] + "/abandon"))["status"] == "refunded"


class Silent(Sandbox):
    """Says nothing when it is asked to cancel."""

    async def cancel(self, key: str) -> None:
        raise ConnectionError("no answer")


async def test_a_provider_that_does_not_confirm_is_asked_on(shop: Shop) -> None:
    tea = await shop.goods(PRICE, 3)
    began = await pay(shop, tea, "tok_unknown")
    resources: Any = shop.served.resources
    whole, resources.parts[CARDS] = CARDS.of(resources), saga(resources, Silent(resources.db))
    ended = done(await shop.owner.post(began.headers["location"] + "/abandon"))
    assert (ended["status"], ended["problem"]) == ("pending", "abandoned")
    assert await shop.available(tea) == 3, "the goods are free at once"
    resources.parts[CARDS] = whole
    await settle(shop)
    assert done(await shop.owner.get(began.headers["location"]))["status"] == "refunded"
    assert await audit(shop, tea, 3) == (0, 0)


async def test_it_is_called_off_when_that_is_certain(shop: Shop) -> None:
    tea = await shop.goods(PRICE, 3)
    began = await pay(shop, tea, "tok_unknown", key="k")
    resources: Any = shop.served.resources
    whole, resources.parts[CARDS] = CARDS.of(resources), saga(resources, Sandbox(resources.db))
    CARDS.of(resources)._bus = _Away()
    path = began.headers["location"] + "/abandon"
    problem(await shop.owner.post(path, key="off"), 503)
    resources.parts[CARDS] = whole
    assert done(await shop.owner.post(path, key="off"))["status"] == "refunded"
    assert await audit(shop, tea, 3) == (0, 0)


class _Away:
    async def send(self, *_: Any) -> Any:
        raise Unavailable


@pytest.mark.parametrize("returns", [True, False], ids=["asked again", "left to the worker"])
async def test_cut_after_each_step_of_calling_off(shop: Shop, returns: bool) -> None:
    tea = await shop.goods(PRICE, 50)
    cuts = 0
    for dies_after in range(1, 30):
        began = await pay(shop, tea, "tok_unknown", key=f"pay {dies_after}")
        path, key = began.headers["location"] + "/abandon", f"off {dies_after}"
        try:
            with dying(shop, dies_after):
                done(await shop.owner.post(path, key=key))
            break
        except BaseException as error:
            assert is_cut(error), error
        cuts += 1
        if returns:
            answer = await shop.owner.post(path, key=key)
            assert answer.status_code == 200, answer.text
    assert cuts >= 4
    await settle(shop)
    sales, _ = await audit(shop, tea, 50)
    # Where nothing was written yet, and nobody came back, the worker ended what was begun.
    assert sales <= (0 if returns else 1)


async def test_called_off_while_the_sale_is_being_made(shop: Shop) -> None:
    """Whichever command comes first at the owner: there is a sale and money, or neither."""
    tea = await shop.goods(PRICE, 50)
    for delay_ms in range(10):
        began = await pay(shop, tea, "tok_unknown", key=f"k{delay_ms}")
        path = began.headers["location"] + "/abandon"

        async def later(url: str = path, after_ms: int = delay_ms) -> int:
            await asyncio.sleep(after_ms / 1000)
            return (await shop.owner.post(url)).status_code

        code, _ = await asyncio.gather(later(), settle(shop))
        assert code in (200, 409)
        ended = done(await shop.owner.get(began.headers["location"]))
        assert ended["status"] == ("refunded" if code == 200 else "completed")
    await audit(shop, tea, 50)


class Refusing(Sandbox):
    """Gives nothing back until it is told to."""

    gives = False

    async def refund(self, key: str, charge_id: str, amount_minor: int) -> None:
        if not self.gives:
            raise RefundRefused(charge_id)
        await super().refund(key, charge_id, amount_minor)


async def refunds(shop: Shop, status: str) -> list[dict[str, Any]]:
    query = {"status": status}
    found: list[dict[str, Any]] = done(await shop.owner.get("/api/pos/card-refunds", params=query))
    return found


async def returned(shop: Shop) -> Refusing:
    """A sale by card has come back, and the provider refuses to pay."""
    tea = await shop.goods(PRICE, 3)
    sale = done(await pay(shop, tea, "tok_approve"))
    body = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 1}]}
    done(await shop.owner.post(f"/api/pos/sales/{sale['id']}/returns", body))
    resources: Any = shop.served.resources
    provider = Refusing(resources.db)
    resources.parts[CARDS] = saga(resources, provider)
    return provider


async def attempt(shop: Shop, times: int = 1) -> None:
    for _ in range(times):
        await shop.sees("UPDATE card_refunds SET claimed_until = now() RETURNING id")
        await settle(shop)


async def test_a_refund_that_is_refused_is_given_up_and_retried(shop: Shop) -> None:
    provider = await returned(shop)
    await attempt(shop, MAX_REFUND_ATTEMPTS - 1)
    (owed,) = await refunds(shop, "owed")
    assert (owed["attempts"], owed["problem"]) == (MAX_REFUND_ATTEMPTS - 1, "refused")
    early = await shop.owner.post(f"/api/pos/card-refunds/{owed['id']}/retry")
    assert problem(early, 409, "refund_not_dead")["state"] == "owed"
    await attempt(shop, 3)
    (dead,) = await refunds(shop, "dead")
    assert dead["attempts"] == MAX_REFUND_ATTEMPTS, "and nobody asks any more"
    provider.gives = True
    await attempt(shop)
    assert await kept(shop) == 700
    path = f"/api/pos/card-refunds/{dead['id']}/retry"
    again = done(await shop.owner.post(path, key="k"))
    assert (again["status"], again["attempts"]) == ("owed", 0)
    await settle(shop)
    assert done(await shop.owner.post(path, key="k")) == again
    assert await kept(shop) == 0
    (made,) = await refunds(shop, "refunded")
    assert made["problem"] is None


async def test_a_refund_that_was_given_up_is_settled_by_hand(shop: Shop) -> None:
    provider = await returned(shop)
    await attempt(shop, MAX_REFUND_ATTEMPTS)
    (dead,) = await refunds(shop, "dead")
    path, note = f"/api/pos/card-refunds/{dead['id']}/settle", {"note": "cash, 7.00"}
    problem(await (await shop.caller(Role.CASHIER)).post(path, note), 403)
    settled = done(await shop.owner.post(path, note, key="k"))
    assert (settled["status"], settled["note"]) == ("settled", "cash, 7.00")
    assert done(await shop.owner.post(path, note, key="k")) == settled
    problem(await shop.owner.post(path, note), 409, "refund_not_dead")
    provider.gives = True
    await attempt(shop)
    assert await kept(shop) == 700, "nobody pays it twice"
    lines = await shop.sees("SELECT changes FROM audit_log WHERE action = 'card_refund.settled'")
    assert [line["changes"] for line in lines] == [{"status": ["dead", "settled"]}]


async def test_a_provider_that_is_silent_is_asked_on(shop: Shop) -> None:
    """An outage says nothing of the refund."""
    await returned(shop)
    resources: Any = shop.served.resources

    class Away(Sandbox):
        async def refund(self, key: str, charge_id: str, amount_minor: int) -> None:
            raise ConnectionError("no answer")

    resources.parts[CARDS] = saga(resources, Away(resources.db))
    await attempt(shop, MAX_REFUND_ATTEMPTS + 2)
    (owed,) = await refunds(shop, "owed")
    assert owed["problem"] == "silent"
    resources.parts[CARDS] = saga(resources, Sandbox(resources.db))
    await attempt(shop)
    assert await kept(shop) == 0
