"""The lean route of a sale and its FastAPI twin give the same answers to the same requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from core.ids import uuid7
from core.principal import Role
from deployments.capabilities import CAPABILITIES
from deployments.kit.capability import lean_handlers
from deployments.pos.capability import capability as pos
from gateway.app import create_app
from gateway.context import RequestContext
from gateway.entrance import Answer
from tests.api.gateway.test_lean import comparable
from tests.api.shop import Caller, Shop, done

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/pos/sales"
CASH = '"payments":[{"method":"cash","amount":20}]'

# `%p` is the product, `%s` its SKU, `%r` the register: each way has its own, which are alike.
# Those that the lean route must answer itself:
PLAIN = [
    '{"registerId":"%r","lines":[{"productId":"%p"}],' + CASH + "}",
    '{"registerId":"%r","lines":[{"sku":"%s","quantity":3}],"tips":0.25,"note":"for J\u00f3n",'
    '"discount":{"percent":12.5},"payments":[{"method":"external","amount":2,"reference":"7"},'
    '{"method":"cash","amount":20.0}]}',
    '{"registerId":"%r","lines":[{"productId":"%p"},{"sku":"%s","discount":{"amount":0.5}}],'
    '"expectedTotal":4.5,' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p"}],"expectedTotal":1,' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p","quantity":99}],' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p"}],"payments":[]}',
    '{"registerId":"%r","lines":[{"productId":"%p","quantity":1.0}],' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p","quantity":1.5}],' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p"}],"discount":{"percent":50},' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p"}],"tips":0.001,' + CASH + "}",
    '{"registerId":"%p","lines":[{"productId":"%p"}],' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%r"}],' + CASH + "}",
    '{"registerId":"%r","locationId":"%r","lines":[{"productId":"%p"}],' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p"}],"payments":[{"method":"gift_card",'
    '"amount":2.5,"code":"ABCD-EFGH-JKLM"}]}',
]
# Those that it must leave to its twin:
LEFT = [
    '{"registerId":"%r","lines":[{"productId":"%p"}],"payments":[{"method":"card","amount":2.5,'
    '"token":"tok_visa"}]}',
    '{"registerId":"%r","lines":[],' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p","quantity":"1"}],' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p","sku":"%s"}],' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p"}],"unknown":1,' + CASH + "}",
    '{"registerId":"%r","register_id":"%r","lines":[{"productId":"%p"}],' + CASH + "}",
    '{"registerId":"%r","registerId":"%r","lines":[{"productId":"%p"}],' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p"}],"note":"a\\u0000b",' + CASH + "}",
    '{"registerId":"%r","lines":[{"productId":"%p"}],"payments":[{"method":"cash","amount":NaN}]}',
    '{"registerId":"%r","lines":[{"productId":"%p"}],"payments":[{"method":"cash","amount":"5"}]}',
    '{"registerId":"nonsense","lines":[{"productId":"%p"}],' + CASH + "}",
    '{"registerId":"%r"',
    "[]",
    "",
]


class Ways:
    """A shop, and the same application with and without lean routes. `lean` tells of each request
    whether the lean route has answered it."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.lean: list[bool] = []
        resources: Any = shop.served.resources
        [(route, handler)] = lean_handlers([pos], resources).items()

        async def recorded(context: RequestContext, raw: bytes) -> Answer | None:
            self.lean.append(True)
            answer = await handler(context, raw)
            self.lean[-1] = answer is not None
            return answer

        app = create_app(resources.settings, CAPABILITIES, resources, lean={route: recorded})
        transport = httpx2.ASGITransport(app, client=("203.0.113.7", 40_000))
        http = httpx2.AsyncClient(transport=transport, base_url="http://api.test")
        self.clients = (http, shop.served.http)

    async def send(
        self, body: str, by: Caller | None = None, key: str = "", query: str = ""
    ) -> list[httpx2.Response]:
        """The answers of both, the lean way first."""
        answers: list[httpx2.Response] = []
        for http in self.clients:
            sku = str(uuid7())
            product = await self.shop.goods(2.5, 9, sku=sku)
            register = await self.shop.open_register(by=by)
            raw = body.replace("%p", product).replace("%s", sku).replace("%r", register)
            named = {"Idempotency-Key": f"{key}{len(answers)}" if key else str(uuid7())}
            headers = (by or self.shop.owner).auth | named | {"Content-Type": "application/json"}
            answers.append(await http.post(PATH + query, content=raw.encode(), headers=headers))
        return answers


@pytest_asyncio.fixture(loop_scope="module")
async def ways(shop: Shop) -> AsyncIterator[Ways]:
    made = Ways(shop)
    try:
        yield made
    finally:
        await made.clients[0].aclose()


async def test_the_same_answers_both_ways(ways: Ways) -> None:
    for body in (*PLAIN, *LEFT):
        ways.lean.clear()
        lean, twin = await ways.send(body)
        assert comparable(lean) == comparable(twin), body
        assert ways.lean == [body in PLAIN], body
    lean, twin = await ways.send(PLAIN[0], query="?x=1")
    assert comparable(lean) == comparable(twin)


async def test_the_same_access_both_ways(ways: Ways) -> None:
    for role in (Role.CASHIER, Role.MANAGER):
        lean, twin = await ways.send(PLAIN[6], by=await ways.shop.caller(role))
        assert comparable(lean) == comparable(twin)
    raw = PLAIN[0].replace("%p", str(uuid7())).replace("%r", ways.shop.register).encode()
    for auth in ({}, (await ways.shop.caller(Role.CUSTOMER)).auth):
        headers = auth | {"Content-Type": "application/json"}
        lean, twin = [await http.post(PATH, content=raw, headers=headers) for http in ways.clients]
        assert comparable(lean) == comparable(twin)


async def test_a_key_is_one_sale_whichever_way_it_comes(ways: Ways) -> None:
    shop = ways.shop
    product = await shop.goods(2.5, 9)
    raw = PLAIN[0].replace("%p", product).replace("%r", shop.register).encode()
    headers = shop.owner.auth | {"Content-Type": "application/json", "Idempotency-Key": "one"}
    answers = [
        await http.post(PATH, content=raw, headers=headers)
        for http in (*ways.clients, ways.clients[0])
    ]
    assert len({answer.text for answer in answers}) == 1
    assert done(answers[0])["receiptNumber"] == 1
    assert await shop.on_hand(product) == 8
