"""What a POST makes is answered with 201, as a whole, and with its address, where it is read again
as it was answered. Generated from the routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from core.principal import Role
from tests.api.case import Call, RouteId
from tests.api.cases import CASES, ROUTES, url
from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, done, open_shop

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAKING = [route for route in CASES if route[0] == "POST" and ROUTES[route].status_code == 201]
# Told once, to the caller alone, and read nowhere.
SECRETS = ("secret", "giftCards", "storeCredit")


async def _rotated(shop: Shop) -> Call:
    body = {"name": "sheet", "scopes": ["catalog:read"]}
    return Call(done(await shop.owner.post("/api/auth/api-keys", body))["id"], {})


# By whom nothing is there in the tables of cases.
OWN_CALLS = {("POST", "/api/auth/api-keys/{id}/rotate"): _rotated}


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_shop(here, keyed=True) as opened:
        yield opened


@pytest.mark.parametrize("route", MAKING, ids=" ".join)
async def test_what_is_made_has_an_address(shop: Shop, route: RouteId) -> None:
    make = OWN_CALLS.get(route) or CASES[route].make
    call = await make(shop)
    owner = Role.OWNER in CASES[route].may
    caller = shop.owner if owner else await shop.caller(Role.ADMIN)
    key = "made"
    answer = await caller.post(url(route[1], call), call.body, key)
    assert answer.status_code == 201, answer.text
    place = answer.headers["location"]
    again = await caller.post(url(route[1], call), call.body, key)
    if route != ("POST", "/api/auth/register"):
        assert again.headers["location"] == place, "a repeat says it too"
        made: dict[str, Any] = answer.json()["data"]
        made = made.get("sale", made)
        found = done(await caller.get(place))
        assert place.split("/")[-1] == made["id"] or f"/{made['id']}/" in place
        assert _shown(found) == _shown(made)


def _shown(thing: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name not in SECRETS}
