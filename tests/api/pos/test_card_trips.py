"""What a sale by card costs: trips to the owner, and what the replica asks of Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import event

from actors.families import commerce
from actors.stock.model import SetItemTerms
from core.ids import uuid7
from core.request import RequestKey
from core.settings import Settings
from deployments.kit import desk
from deployments.kit.receipts import RECEIPT_HEADER
from deployments.pos.card_payments.provider import Charge, Verdict
from deployments.pos.card_payments.service import CARDS
from tests.api.in_process import InProcessStack
from tests.api.pos.card_kit import PRICE, pay, saga
from tests.api.shop import Shop, done, open_till, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Counted:
    """`trips` are the names of commands and reads, `statements` what went to Postgres beside
    look-ups."""

    trips: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)


# Not what the application asks in the background meanwhile.
_counts: ContextVar[bool] = ContextVar("counts", default=False)


@contextmanager
def counting(shop: Shop) -> Iterator[Counted]:
    resources: Any = shop.served.resources
    bus, counted = resources.bus, Counted()

    class Bus:
        async def send(self, *arguments: Any) -> Any:
            counted.trips.append(type(commerce.decode(arguments[3])).__name__)
            return await bus.send(*arguments)

        async def read(self, *arguments: Any) -> Any:
            counted.trips.append(type(commerce.decode(arguments[3])).__name__)
            return await bus.read(*arguments)

    def executed(_: Any, __: Any, statement: str, *___: Any) -> None:
        if _counts.get():
            counted.statements.append(statement)

    engine = resources.db._engine.sync_engine
    event.listen(engine, "before_cursor_execute", executed)
    resources.bus = CARDS.of(resources)._bus = Bus()
    before = _counts.set(True)
    try:
        yield counted
    finally:
        _counts.reset(before)
        resources.bus = CARDS.of(resources)._bus = bus
        event.remove(engine, "before_cursor_execute", executed)


class Approving:
    async def charge(self, key: str, token: str, amount_minor: int, currency: str) -> Charge:
        return Charge(f"sbx_{key}", Verdict.APPROVED)


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    resources: Any = here.served.resources
    whole = CARDS.of(resources)
    resources.parts[CARDS] = saga(resources, Approving())
    try:
        async with open_till(here) as opened:
            yield opened
    finally:
        resources.parts[CARDS] = whole


def told(answer: httpx2.Response) -> tuple[int, bytes, str | None]:
    return answer.status_code, answer.content, answer.headers.get(RECEIPT_HEADER)


async def test_a_sale_by_card_is_two_trips_and_reads_nothing_again(shop: Shop) -> None:
    """Rehearsed and held in one command, then sold; one transaction each for what is meant, for
    what the provider said, and for the end."""
    tea = await shop.goods(PRICE, 9)
    done(
        await shop.owner.post(
            "/api/pos/quotes", {"registerId": shop.register, "lines": [{"productId": tea}]}
        )
    )  # Where the register is.
    with counting(shop) as counted:
        first = await pay(shop, tea, "tok_approve", key="k")
    sale = done(first)
    assert counted.trips == ["HoldSale", "Sell"]
    assert len(counted.statements) == 8, counted.statements
    assert not [
        statement
        for statement in counted.statements
        if statement.startswith("SELECT ") and " FROM " in statement
    ]
    receipts = first.headers[RECEIPT_HEADER]
    assert [part.split(";")[0] for part in receipts.split(", ")] == [sale["id"], shop.register]
    assert done(await shop.owner.get(f"/api/pos/sales/{sale['id']}")) == sale
    with counting(shop) as counted:
        again = await pay(shop, tea, "tok_approve", key="k")
    assert told(again) == told(first)
    assert counted.trips == ["HoldSale", "Sell"]
    assert len(counted.statements) == 3, counted.statements
    assert await audit_goods(shop, tea) == (8, 8)


async def test_what_the_owner_has_forgotten_is_read(shop: Shop, embedded: Settings) -> None:
    """The log keeps a week, and the payment is known for longer."""
    tea = await shop.goods(PRICE, 9)
    sale = done(await pay(shop, tea, "tok_approve", key="k"))
    owner = await asyncpg.connect(embedded.owner_database_url)
    await owner.execute("DELETE FROM command_log WHERE tenant_id = $1", shop.tenant)
    await owner.close()
    resources: Any = shop.served.resources
    for node in (await resources.bus.cluster()).nodes.values():
        node.host._mailbox._remembered.clear()
    again = await pay(shop, tea, "tok_approve", key="k")
    assert done(again) == sale
    assert RECEIPT_HEADER not in again.headers
    assert await audit_goods(shop, tea) == (8, 8)


async def test_what_is_discontinued_between_draft_and_hold_is_refused(shop: Shop) -> None:
    """The catalogue still had it, and its owner knows better."""
    tea = await shop.goods(PRICE, 9)
    resources: Any = shop.served.resources
    gone, now_ms = SetItemTerms(UUID(tea), discontinued=True), resources.clock.now_ms()
    key = RequestKey(uuid7(), b"", False, now_ms, now_ms + 10_000)
    await desk.decide(resources.bus, "shop", shop.tenant, key, gone)
    problem(await pay(shop, tea, "tok_approve", key="k"), 409, "product_discontinued")
    assert await shop.sees("SELECT id FROM card_payments") == []
    assert await audit_goods(shop, tea) == (9, 9)


async def audit_goods(shop: Shop, product: str) -> tuple[int, int]:
    return await shop.on_hand(product), await shop.available(product)
