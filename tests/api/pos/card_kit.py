"""What tests of card payments share: a shop whose provider is the sandbox, the worker, the audit of
the provider's money, and a process that dies at a step of one's choice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2

from deployments.pos.card_payments.provider import CardProvider, Charge, Sandbox
from deployments.pos.card_payments.service import CARDS, CardSales
from deployments.pos.card_payments.worker import CardWorker
from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, done, open_till

PRICE = 7.0


class Broken(Sandbox):
    """Loses the line where the sandbox would keep silent, so that no test depends on a time-out."""

    async def charge(self, key: str, token: str, amount_minor: int, currency: str) -> Charge:
        if not token.startswith("tok_unknown"):
            return await super().charge(key, token, amount_minor, currency)
        token = "tok_approve" if token == "tok_unknown" else "tok_decline"
        await super().charge(key, token, amount_minor, currency)
        raise ConnectionError("no answer")


@asynccontextmanager
async def open_card_till(here: InProcessStack) -> AsyncIterator[Shop]:
    """A shop whose cards are `Broken`'s."""
    resources: Any = here.served.resources
    whole = CARDS.of(resources)
    resources.parts[CARDS] = saga(resources, Broken(resources.db, slow_seconds=0.1))
    try:
        async with open_till(here) as shop:
            yield shop
    finally:
        resources.parts[CARDS] = whole


def saga(resources: Any, provider: CardProvider, timeout_seconds: float = 20.0) -> CardSales:
    return CardSales(
        resources.db,
        resources.bus,
        provider,
        resources.clock,
        charge_timeout_seconds=timeout_seconds,
    )


async def pay(shop: Shop, product: str, *tokens: str, **rest: Any) -> httpx2.Response:
    """Sells one of a product that costs PRICE for each token, each card paying PRICE."""
    payments = [{"method": "card", "amount": PRICE, "token": token} for token in tokens]
    return await shop.sell(product, **({"payments": payments} | rest))


async def settle(shop: Shop) -> None:
    """Runs the worker until nothing waits."""
    resources: Any = shop.served.resources
    await shop.sees("UPDATE card_payments SET claimed_until = now() RETURNING id")
    worker = CardWorker(resources.db, CARDS.of(resources))
    while await worker.round():
        pass


async def kept(shop: Shop) -> int:
    """What the provider has kept of this business's charges, in minor units."""
    found = await shop.sees(
        "SELECT coalesce(sum(c.amount_minor - coalesce((SELECT sum(r.amount_minor)"
        " FROM sandbox_refunds r WHERE r.charge_key = c.key), 0)), 0)::bigint AS kept"
        " FROM sandbox_charges c JOIN card_charges p ON c.key = p.id::text"
        " WHERE c.status = 'approved'"
    )
    return int(found[0]["kept"])


async def audit(shop: Shop, product: str, stock: int, cards: int = 1) -> tuple[int, int]:
    """Sales, each of one unit paid with so many cards, and money agree, goods too, and nothing is
    held any more: (sales, money kept)."""
    sales = await shop.sees("SELECT status FROM pos_sales")
    money = await kept(shop)
    assert money == round(PRICE * 100) * cards * len(sales)
    assert await shop.on_hand(product) == await shop.available(product) == stock - len(sales)
    ended = await shop.sees("SELECT DISTINCT status FROM card_payments")
    assert {row["status"] for row in ended} <= {"completed", "declined", "refunded"}
    ended = await shop.sees(
        "SELECT c.status FROM card_charges c JOIN card_payments p ON p.id = c.payment_id"
        " WHERE (c.status = 'approved') <> (p.status = 'completed') OR c.status = 'due'"
    )
    assert ended == []
    return len(sales), money


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


@contextmanager
def dying(shop: Shop, dies_after: int) -> Iterator[None]:
    """The replica's process dies after so many steps of a card payment."""
    resources: Any = shop.served.resources
    bus, cards, steps = resources.bus, CARDS.of(resources), Dying(dies_after)
    resources.bus = steps.wrap(bus, "send", "read")
    resources.parts[CARDS] = CardSales(
        DyingDb(resources.db, steps),  # type: ignore[arg-type]
        resources.bus,
        steps.wrap(Sandbox(resources.db), "charge", "find", "cancel"),
        resources.clock,
    )
    try:
        yield
    finally:
        resources.bus, resources.parts[CARDS] = bus, cards


def is_cut(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(is_cut(part) for part in error.exceptions)
    return isinstance(error, Cut)


async def cut_after_each_step(shop: Shop, product: str, *tokens: str) -> int:
    """Sells with these cards, over and over, in a process that dies one step later each time. Half
    of the clients come back with the same key, the worker ends the others. How many cuts there
    were until one sale got through."""
    cuts = 0
    for dies_after in range(1, 60):
        key = f"cut-{'-'.join(tokens)}-{dies_after}"
        try:
            with dying(shop, dies_after):
                await pay(shop, product, *tokens, key=key)
            survived = True
        except BaseException as error:
            assert is_cut(error), error
            survived = False
        if survived:
            break
        cuts += 1
        if dies_after % 2:
            await pay(shop, product, *tokens, key=key)
    await settle(shop)
    # What was held before an intent was written expires by itself.
    held = await shop.sees("SELECT id FROM reservations WHERE status = 'open'")
    assert len(held) <= 2
    for row in held:
        done(await shop.owner.post(f"/api/inventory/reservations/{row['id']}/release"))
    return cuts
