"""Every lean route and its FastAPI twin give the same answers to the same requests: to good ones,
and to each of them spoiled in every way. Generated from the routes and their cases."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from deployments.capabilities import CAPABILITIES
from deployments.kit.capability import lean_handlers
from gateway.app import create_app
from gateway.context import RequestContext
from gateway.entrance import Answer, LeanHandler
from tests.api.case import RouteId
from tests.api.cases import CASES
from tests.api.every_route.test_bad_input import spoiled
from tests.api.gateway.test_lean import comparable
from tests.api.harness import Served
from tests.api.in_process import InProcessStack, in_process
from tests.api.shop import Shop, open_shop

# What counts up, and an SKU that a product is given where nobody names one.
_VARIES = re.compile(r'P-[0-9A-F]{12}|(?<="receiptNumber":)\d+|seq=\d+')
LEAN = sorted(route for capability in CAPABILITIES for route in capability.lean_routes())


@dataclass
class Ways:
    """A shop, and the same application with and without lean routes. `taken` says of each request
    that came to a lean route whether it was answered there."""

    shop: Shop
    lean: httpx2.AsyncClient
    twin: httpx2.AsyncClient
    taken: list[bool] = field(default_factory=list)

    def recorded(self, handler: LeanHandler) -> LeanHandler:
        async def recorded(context: RequestContext, raw: bytes) -> Answer | None:
            self.taken.append(True)
            answer = await handler(context, raw)
            self.taken[-1] = answer is not None
            return answer

        return recorded

    async def both(
        self, route: RouteId, raws: tuple[bytes, bytes], role: Role = Role.OWNER
    ) -> tuple[httpx2.Response, httpx2.Response]:
        """The answers to two bodies that are alike, the lean way first."""
        caller = self.shop.owner if role is Role.OWNER else await self.shop.caller(role)
        headers = {
            "Authorization": str(caller.http.headers["authorization"]),
            "Content-Type": "application/json",
        }
        lean, twin = [
            await http.post(
                route[1], content=raw, headers=headers | {"Idempotency-Key": str(uuid7())}
            )
            for http, raw in zip((self.lean, self.twin), raws, strict=True)
        ]
        return lean, twin


@pytest.fixture
async def served(embedded: Settings) -> AsyncIterator[Served]:
    async with in_process(embedded) as here:
        yield here.served


@pytest.fixture
async def ways(served: Served) -> AsyncIterator[Ways]:
    resources: Any = served.resources
    async with open_shop(InProcessStack.of(served)) as shop:
        made = Ways(shop, served.http, served.http)
        handlers = {
            route: made.recorded(handler)
            for route, handler in lean_handlers(CAPABILITIES, resources).items()
        }
        app = create_app(resources.settings, CAPABILITIES, resources, lean=handlers)
        transport = httpx2.ASGITransport(app, client=("203.0.113.7", 40_000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://api.test") as http:
            made.lean = http
            yield made


def said(answer: httpx2.Response) -> tuple[Any, ...]:
    """What must not depend on the way."""
    status, text, headers = comparable(answer)
    plain = {name: _VARIES.sub("*", value) for name, value in headers.items()}
    return status, _VARIES.sub("*", text), plain


def test_there_are_lean_routes() -> None:
    assert len(LEAN) >= 2


def twice(body: dict[str, Any]) -> Iterator[bytes]:
    """The body with each of its names a second time."""
    text = json.dumps(body)
    for name, value in body.items():
        yield f"{text[:-1]}, {json.dumps(name)}: {json.dumps(value)}}}".encode()


@pytest.mark.parametrize("route", LEAN, ids=" ".join)
async def test_the_same_answers_both_ways(ways: Ways, route: RouteId) -> None:
    case = CASES[route]
    assert case.lean, "its case has no request that is plain"
    first, second = [(await case.lean(ways.shop)).body for _ in range(2)]
    assert first is not None
    assert second is not None
    good = json.dumps(first).encode(), json.dumps(second).encode()
    pairs = zip(spoiled(first, case.nullable), spoiled(second, case.nullable), strict=True)
    tried = [good, *((body.text, other.text) for body, other in pairs), good]
    tried += list(zip(twice(first), twice(second), strict=True))
    tried += [(text, text) for text in (b"", b"{}", b"[]", b"null", b"\xff", b"\xef\xbb\xbf{}")]
    for raws in tried:
        lean, twin = await ways.both(route, raws)
        assert said(lean) == said(twin), raws[0][:300]
    assert ways.taken[0], "the case's own request is not plain"
    assert not all(ways.taken), "nothing was left to the twin"


@pytest.mark.parametrize("route", LEAN, ids=" ".join)
async def test_the_same_access_both_ways(ways: Ways, route: RouteId) -> None:
    for role in (Role.CASHIER, Role.CUSTOMER, Role.ADMIN):
        make = CASES[route].lean or CASES[route].make
        bodies = [(await make(ways.shop)).body for _ in range(2)]
        first, second = [json.dumps(body).encode() for body in bodies]
        lean, twin = await ways.both(route, (first, second), role)
        assert said(lean) == said(twin), role
