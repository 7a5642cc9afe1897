"""Bad input: a 4xx as problem+json that names the field, and nothing written. On every route."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from core.principal import Role
from tests.api.case import Call, RouteId
from tests.api.cases import CASES, ROUTES, WITH_BODY, is_paged, url
from tests.api.every_route.spoiling import (
    DECIMALS,
    NO_NUMBER,
    NO_TEXT,
    NULLABLE,
    Bad,
    snaked,
    spoiled,
)
from tests.api.shop import Shop, everything_of, open_shop, problem
from tests.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 16
# What takes a password or a mailed link's token, ends the session that asks, or changes nothing.
NOT_KEYED = ("register", "login", "refresh", "logout", "change", "forgot", "reset", "accept")
NOT_KEYED += ("preview", "quotes", "verify")
KEYED = [
    (method, path)
    for method, path in CASES
    if method != "GET" and path.rpartition("/")[2] not in NOT_KEYED
]
WITH_ID = [route for route in CASES if "{id}" in route[1]]
LISTS = [route for route in CASES if is_paged(ROUTES[route])]
SAYING_NOTHING = [route for route in CASES if route[0] != "GET" and route not in WITH_BODY]
NULLABLE |= {"currency", "expiresAt", "lines", "legalName", "phone", "website"}
NULLABLE |= {"street", "city", "state", "zip", "country", "locationId", "validFrom"}
NULLABLE |= {"rateLimitPerSecond"}

# In a table of prices the names are currencies.
DECIMALS |= {"EUR"}

NO_NUMBER += [str(2**63), str(-(2**63) - 1), str(10**30), "9" * 5_000, "1e999999999", '"NaN"']
NO_TEXT += [json.dumps("a" * 20_000)]
NO_BODY = [b"", b"null", b"[]", b'"x"', b"1", b"{", b'{"a":1,}', b"\xff\xfe{}", b'{"a":\xff}']
NO_BODY += [b"[" * 100_000, b'{"a":' * 50_000, "{}".encode("utf-16"), b"\xef\xbb\xbf{}", b"{}{}"]


@dataclass
class Witness:
    """A shop, and all that there was of it when it was last looked at."""

    shop: Shop
    seen: Any = None

    async def look(self) -> Any:
        self.seen = await everything_of(self.shop), await people(self.shop)
        return self.seen


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def witness(stack: Stack) -> AsyncIterator[Witness]:
    async with open_shop(stack) as shop:
        await shop.reserve(await shop.product(5), 2, ttlSeconds=3_600)
        witness = Witness(shop)
        await witness.look()
        yield witness


@pytest_asyncio.fixture(loop_scope="module")
async def untouched(witness: Witness) -> AsyncIterator[Shop]:
    """A shop about which nothing may have changed when the test ends: the same one for all, since
    nothing changes."""
    before = witness.seen
    yield witness.shop
    assert await witness.look() == before


async def people(shop: Shop) -> list[Any]:
    tables = ("users", "businesses", "sessions", "refresh_tokens", "revocations")
    counts = ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in tables)
    return await shop.rows(f"SELECT {counts}")


async def send(shop: Shop, route: RouteId, call: Call, **options: Any) -> httpx2.Response:
    headers = {"Authorization": proof(shop, route), **options.pop("headers", {})}
    return await shop.owner.call(route[0], url(route[1], call), headers=headers, **options)


def proof(shop: Shop, route: RouteId) -> str:
    """The owner's, or where a route is for a platform's admins that of one whom nobody knows."""
    if Role.OWNER in CASES[route].may:
        return str(shop.owner.http.headers["authorization"])
    return f"Bearer {shop.stack.token(Role.ADMIN, None)}"


def names_it(document: dict[str, Any], field: str) -> bool:
    """A number that no JSON has, or that has thousands of digits, ends the reading before there
    is a field to name; the detail then says what it is."""
    named = [error["field"] for error in document["errors"]]
    if document["code"] == "bad_request":
        return "number" in document["detail"]
    return any(name == field or name.startswith((f"{field}.", f"{field}[")) for name in named)


async def each(bad: Iterable[Any], attempt: Any) -> None:
    """Runs `attempt` for each, some at once; it returns what is wrong about the answer."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Any) -> str | None:
        async with gate:
            found: str | None = await attempt(item)
            return found

    wrong = [text for text in await asyncio.gather(*map(one, bad)) if text]
    assert not wrong, "\n".join(wrong[:20])


def complaint(what: Any, answer: httpx2.Response, statuses: set[int], field: str | None) -> str:
    shown = f"{str(what)[:200]}: {answer.status_code} {answer.text[:300]}"
    if answer.status_code not in statuses:
        return shown
    document = problem(answer, answer.status_code)
    if field is not None and answer.status_code == 400 and not names_it(document, field):
        return f"does not name {field}: {shown}"
    return ""


@pytest.mark.parametrize("route", WITH_BODY, ids=" ".join)
async def test_each_field_of_each_body(untouched: Shop, route: RouteId) -> None:
    call = await CASES[route].make(None)
    assert call.body is not None

    async def attempt(bad: Bad) -> str:
        headers = {"Content-Type": "application/json"}
        answer = await send(untouched, route, call, content=bad.text, headers=headers)
        return complaint(bad, answer, {400}, bad.field)

    await each([*spoiled(call.body, CASES[route].nullable), *snaked(call.body)], attempt)


@pytest.mark.parametrize("route", WITH_BODY, ids=" ".join)
async def test_each_body_as_a_whole(untouched: Shop, route: RouteId) -> None:
    call = await CASES[route].make(None)
    assert call.body is not None
    good = json.dumps(call.body).encode()
    types = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x", ""]
    tries: list[tuple[bytes, dict[str, str], int]] = [
        *((text, {"Content-Type": "application/json"}, 400) for text in NO_BODY),
        *((good, {"Content-Type": kind}, 415) for kind in types),
        (good, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        (b" " * (2 << 20) + good, {"Content-Type": "application/json"}, 413),
    ]

    async def attempt(one: tuple[bytes, dict[str, str], int]) -> str:
        content, headers, status = one
        answer = await send(untouched, route, call, content=content, headers=headers)
        return complaint((content[:60], headers), answer, {status}, None)

    await each(tries, attempt)


async def test_a_large_body_of_unknown_length_is_cut_off(untouched: Shop) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * (64 << 10)

    headers = {"Content-Type": "application/json"}
    answer = await untouched.owner.call("POST", "/api/products", content=chunks(), headers=headers)
    problem(answer, 413)


@pytest.mark.parametrize("route", WITH_ID, ids=" ".join)
async def test_each_bad_id(untouched: Shop, route: RouteId) -> None:
    good = await CASES[route].make(None)
    bad = ["x", "0", "-1", "null", "a" * 36, "%00", "%FF%FE", "1" * 2_000, "%20", "%7B%7D"]
    bad += [good.id + "0", good.id[:-1], good.id.replace("-", "%2D") + "%00", "%F0%9F%94%92"]

    async def attempt(text: str) -> str:
        answer = await send(untouched, route, Call(text, good.body), json=good.body)
        statuses = {400}
        field = (answer.json().get("errors") or [{"field": "none"}])[0]["field"]
        assert field != "none", answer.text
        return complaint(text, answer, statuses, None)

    await each(bad, attempt)


@pytest.mark.parametrize("route", CASES, ids=" ".join)
async def test_each_path_with_more_behind_it(untouched: Shop, route: RouteId) -> None:
    """A router's expression that ends with `$` lets one newline follow."""
    call = await CASES[route].make(None)
    path = url(route[1], call)
    answer = await untouched.owner.call(route[0], f"{path}%0A", json=call.body)
    # A neighbour may take it for a bad id, or be for others alone.
    assert complaint(path, answer, {400, 403, 404, 405}, None) == ""


@pytest.mark.parametrize("route", LISTS, ids=" ".join)
async def test_each_bad_page(untouched: Shop, route: RouteId) -> None:
    bad = [
        *({"page": text} for text in ("0", "-1", "1.5", "x", "", "10001", "9" * 30, "1e3", "NaN")),
        *({"limit": text} for text in ("0", "-1", "1.5", "x", "", "101", "9" * 30, "true")),
        {"nonsense": "1"},
        {"page": "\x00"},
    ]

    call = await CASES[route].make(None)

    async def attempt(query: dict[str, str]) -> str:
        answer = await send(untouched, route, call, params=call.query | query)
        return complaint(query, answer, {400}, next(iter(query)))

    await each(bad, attempt)


@pytest.mark.parametrize("route", CASES, ids=" ".join)
async def test_each_unknown_parameter(untouched: Shop, route: RouteId) -> None:
    call = await CASES[route].make(None)
    query = call.query | {"nonsense": "1"}
    answer = await send(untouched, route, call, params=query, json=call.body)
    assert complaint(query, answer, {400}, "nonsense") == ""


@pytest.mark.parametrize("route", SAYING_NOTHING, ids=" ".join)
async def test_each_body_that_nobody_reads(untouched: Shop, route: RouteId) -> None:
    call = await CASES[route].make(None)
    bad = [(b'{"nonsense":1}', "nonsense"), (b"[]", "body"), (b"1", "body"), (b"{", None)]

    async def attempt(one: tuple[bytes, str | None]) -> str:
        headers = {"Content-Type": "application/json"}
        answer = await send(untouched, route, call, content=one[0], headers=headers)
        return complaint(one, answer, {400}, one[1])

    await each(bad, attempt)


async def test_each_bad_filter_of_the_catalogue(untouched: Shop) -> None:
    bad = [
        {"minPrice": "x"},
        {"minPrice": "-1"},
        {"maxPrice": "NaN"},
        {"maxPrice": "1e40"},
        {"currency": "eur"},
        {"vendorId": "x"},
        {"sort": "password"},
        {"q": "a" * 101},
        {"q": ""},
        {"category": "a" * 101},
        {"sku": "a" * 65},
        {"barcode": "\x00"},
    ]

    async def attempt(query: dict[str, str]) -> str:
        answer = await untouched.owner.get("/api/products", params=query)
        return complaint(query, answer, {400}, next(iter(query)))

    await each(bad, attempt)


@pytest.mark.parametrize("route", KEYED, ids=" ".join)
async def test_each_bad_idempotency_key(untouched: Shop, route: RouteId) -> None:
    """About a thing that never was, so that a key that is wrongly taken shows as a 404."""
    call = await CASES[route].make(None)
    token = proof(untouched, route).encode()
    options: dict[str, Any] = {"json": call.body} if call.body is not None else {}
    bad = [
        [(b"Idempotency-Key", text)]
        for text in (b"", b"a" * 256, b"\xc3\xa9", b"\xff", b"a\tb", b"a" * 4_000)
    ]
    bad.append([(b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"b")])

    async def attempt(headers: list[tuple[bytes, bytes]]) -> str:
        sent = [(b"Authorization", token), *headers]
        answer = await untouched.owner.http.request(
            route[0], url(route[1], call), headers=sent, **options
        )
        return complaint(headers, answer, {400}, None)

    await each(bad, attempt)


async def test_headers_that_make_no_sense(stack: Stack) -> None:
    """What Serve itself would choke on or obey is not for callers to send."""
    names = (
        "X-Request-Id",
        "X-Request-Timeout-Seconds",
        "X-Request-Disconnect-Disabled",
        "X-Session-Id",
        "Serve_Multiplexed_Model_Id",
        "X-Forwarded-For",
        "Accept",
        "Cookie",
        "Origin",
        "Range",
        "If-Match",
    )
    async with stack.client() as http:
        for name in names:
            for value in (b"\xff\xfe", b"0.000001", b"-1", b"\xe2\x98\x83", b"", b"a" * 5_000):
                answer = await http.get("/api/products", headers=[(name.encode(), value)])
                assert answer.status_code == 200, (name, value, answer.text)
                assert len(answer.headers.get_list("x-request-id")) == 1
        for value in (b"\xff", b"Bearer \xff", b"Bearer " + b"a" * 8_000, b"Digest x", b""):
            answer = await http.get("/api/auth/me", headers=[(b"Authorization", value)])
            problem(answer, 401, "unauthenticated")
