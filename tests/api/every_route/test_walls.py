"""Tenants are walls: role x route x {own, another's, nobody's}, generated from the routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2
import pytest

from core.principal import STAFF, Role
from tests.api.case import Call, Case, RouteId
from tests.api.cases import CASES, ROUTES, url
from tests.api.shop import Caller, Shop, done, everything_of, open_shop, problem
from tests.stack import Stack

CLOSES_BUSINESS = ("DELETE", "/api/business")
WITHOUT_BUSINESS = (Role.CUSTOMER, Role.ADMIN, Role.ANONYMOUS)


@dataclass
class World:
    """Two businesses, and a caller of each role: of the first one, or of none."""

    mine: Shop
    theirs: Shop
    callers: dict[Role, Caller]

    async def call(self, role: Role, route: RouteId, call: Call) -> httpx2.Response:
        method, template = route
        caller = self.callers[role]
        if template.endswith("/logout") and role not in (Role.SERVICE, Role.ANONYMOUS):
            caller = await self.mine.caller(role)  # it ends the session that asks for it
        if route == CLOSES_BUSINESS and role in STAFF:
            # A caller that may do it does it to a business that the others do not need.
            shop = await self.mine.another()
            caller = await (shop.machine("*") if role is Role.SERVICE else shop.caller(role))
        return await caller.call(method, url(template, call), json=call.body, params=call.query)


@pytest.fixture
async def world(stack: Stack) -> AsyncIterator[World]:
    async with open_shop(stack) as mine, open_shop(stack) as theirs:
        people = [role for role in Role if role not in (Role.SERVICE, Role.ANONYMOUS)]
        callers: dict[Role, Caller] = {role: await mine.caller(role) for role in people}
        callers[Role.SERVICE] = await mine.machine("*")
        callers[Role.ANONYMOUS] = await mine.anyone()
        yield World(mine, theirs, callers)


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert set(ROUTES) == set(CASES)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_the_routes_say_what_the_table_says(route: RouteId) -> None:
    """Two hands wrote down who may: the one in the code, and the one in the table."""
    access, case = ROUTES[route].access, CASES[route]
    assert access is not None
    assert access.roles == case.may
    needs_business = not case.may & set(WITHOUT_BUSINESS)
    assert access.tenant is needs_business


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_each_cell(world: World, route: RouteId) -> None:
    case = CASES[route]
    wrong = []
    for whose in ("own", "other's", "nobody's") if case.about_a_thing else ("own",):
        shop = {"own": world.mine, "other's": world.theirs, "nobody's": None}[whose]
        untouched: Call | None = None
        for role in Role:
            call = untouched or await case.make(shop)
            answer = await world.call(role, route, call)
            # What somebody was refused, or has only read, is as good as new for the next one.
            untouched = call if route[0] == "GET" or answer.status_code >= 400 else None
            expected = expectation(case, role, whose)
            if answer.status_code not in expected:
                wrong.append((role.value, whose, answer.status_code, set(expected), answer.text))
            elif answer.status_code >= 400:
                problem(answer, answer.status_code)
    assert not wrong


def expectation(case: Case, role: Role, whose: str) -> frozenset[int]:
    if role not in case.may:
        return frozenset({401 if role is Role.ANONYMOUS else 403})
    if not case.about_a_thing or whose == "own":
        return case.statuses
    if whose == "nobody's":
        return frozenset({404})
    return case.statuses if not case.own or role in case.across else frozenset({404})


TOUCHING = [
    route for route, case in CASES.items() if route[0] != "GET" and case.own and case.about_a_thing
]


@pytest.mark.parametrize("route", TOUCHING, ids=" ".join)
async def test_what_another_may_not_touch_stays_untouched(world: World, route: RouteId) -> None:
    """A 404 could still have done something."""
    case = CASES[route]
    call = await case.make(world.theirs)
    before = await everything_of(world.theirs)
    await asyncio.gather(
        *(world.call(role, route, call) for role in Role if role not in case.across)
    )
    assert await everything_of(world.theirs) == before


@pytest.mark.parametrize(
    "path",
    ["/api/inventory/reservations", "/api/auth/service-keys", "/api/inventory/status/low-stock"],
)
async def test_lists_hold_what_is_ones_own(world: World, path: str) -> None:
    for shop in (world.mine, world.theirs):
        await shop.reserve(await shop.product(1))
        await shop.machine("*")
    theirs = str(await everything_of(world.theirs))
    for role in Role:
        if role in STAFF:
            answer = await world.call(role, ("GET", path), Call(query={"limit": "100"}))
            if answer.status_code != 403:
                assert done(answer)
                ids = {value for row in done(answer) for value in strings(row) if is_uuid(value)}
                assert ids
                assert not {found for found in ids if found in theirs}


async def test_a_filter_opens_no_wall(world: World) -> None:
    product = await world.theirs.product(1)
    await world.theirs.reserve(product)
    listed = await world.mine.owner.get(f"/api/inventory/reservations?productId={product}")
    assert listed.json()["pagination"]["total"] == 0


async def test_a_key_of_another_business_does_not_replay_its_answers(world: World) -> None:
    """The same Idempotency-Key in two businesses is two commands."""
    for shop in (world.mine, world.theirs):
        body = {"productId": await shop.product(5), "quantity": 1}
        hold = done(await shop.owner.post("/api/inventory/reserve", body, key="same"))
        assert hold["productId"] == body["productId"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer x",
        "Basic YTpi",
        "Bearer hfk_" + "A" * 86,
        "Bearer hfa_" + "A" * 86,
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
    ],
)
async def test_no_proof_is_no_access(world: World, header: str) -> None:
    anyone = world.callers[Role.ANONYMOUS]
    for (method, path), case in CASES.items():
        if Role.ANONYMOUS in case.may:
            continue
        call = await case.make(None)
        answer = await anyone.call(
            method, url(path, call), json=call.body, headers={"Authorization": header}
        )
        problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_of_somebody_elses_making_is_none(world: World) -> None:
    token = world.mine.owner.http.headers["authorization"]
    head, body, signature = token.split(".")
    other = "A" if signature[5] != "A" else "B"
    forged = f"{head}.{body}.{signature[:5]}{other}{signature[6:]}"
    anyone = world.callers[Role.ANONYMOUS]
    answer = await anyone.get("/api/auth/me", headers={"Authorization": forged})
    problem(answer, 401, "unauthenticated")


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
