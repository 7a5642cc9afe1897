"""How each route is called: one good request per route, about a thing of somebody's.

`CASES` has a row for each route of every capability; `test_walls.py` fails for a route without
one, and `test_bad_input.py` spoils each of them in every way.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

from core.ids import uuid7
from core.principal import MANAGEMENT
from deployments.capabilities import CAPABILITIES
from gateway.routing import HoldfastRoute, placed
from tests.api import (
    cases_auth,
    cases_business,
    cases_catalog,
    cases_inventory,
    cases_pos,
    cases_purchasing,
)
from tests.api.case import EVERYONE, PEOPLE, SIGNED_IN, Call, Case, RouteId, plain
from tests.api.shop import Shop, done

_BRACES = re.compile(r"\{[^}]*\}")


def routes() -> Iterator[tuple[RouteId, HoldfastRoute]]:
    """Every route of every capability, as the gateway serves it."""
    for capability in CAPABILITIES:
        for route in capability.router.routes:
            assert isinstance(route, HoldfastRoute)
            full = placed(route, capability.name, capability.prefix, mounted=False)
            for method in full.methods or ():
                yield (method, _BRACES.sub("{id}", full.path)), full


ROUTES = dict(routes())
WITH_BODY = [one for one, route in ROUTES.items() if route.body_field is not None]


async def _register(_: Shop | None) -> Call:
    email = f"{uuid7()}@shop.test"
    body = {"name": "Ann", "email": email, "password": "secret-1", "role": "vendor"}
    return Call(body=body | {"businessName": "Ann's", "currency": "EUR"})


async def _product(shop: Shop | None, stock: int = 5) -> str:
    return str(uuid4()) if shop is None else await shop.product(stock)


async def _key(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid7()))
    body = {"name": "till", "scopes": ["catalog:read"]}
    made = done(await shop.owner.post("/api/auth/service-keys", body))
    return Call(made["key"]["id"])


async def _new_key(_: Shop | None) -> Call:
    moment = "2100-01-01T00:00:00Z"
    return Call(
        body={
            "name": "till",
            "scopes": ["inventory:write"],
            "expiresAt": moment,
            "rateLimitPerSecond": 50,
        }
    )


# To sign in one needs an account; these tell a well-formed stranger that it is none.
_NOBODY = {"email": "nobody@shop.test", "password": "secret-1"}
_NO_TOKEN = {"refreshToken": "hfr_" + "A" * 43}
_ONCE = frozenset({200, 201, 401})


def _open(make: Callable[[Shop | None], Awaitable[Call]] | None = None, **rest: Any) -> Case:
    """A route for everyone, about nothing in particular."""
    return Case(EVERYONE, make or plain(), about_a_thing=False, own=False, **rest)


CASES: dict[RouteId, Case] = {
    ("GET", "/health"): _open(),
    ("GET", "/ready"): _open(),
    ("GET", "/metrics"): _open(),
    ("GET", "/.well-known/jwks.json"): _open(),
    ("POST", "/api/auth/register"): _open(_register),
    ("POST", "/api/auth/login"): _open(plain(body=_NOBODY), statuses=_ONCE),
    ("POST", "/api/auth/refresh"): _open(plain(body=_NO_TOKEN), statuses=_ONCE),
    ("POST", "/api/auth/logout"): Case(PEOPLE, plain(), about_a_thing=False),
    ("GET", "/api/auth/me"): Case(SIGNED_IN, plain(), about_a_thing=False),
    ("GET", "/api/auth/jwks"): _open(),
    ("POST", "/api/auth/service-keys"): Case(MANAGEMENT, _new_key, about_a_thing=False),
    ("GET", "/api/auth/service-keys"): Case(MANAGEMENT, plain(), about_a_thing=False),
    ("DELETE", "/api/auth/service-keys/{id}"): Case(MANAGEMENT, _key),
    **cases_auth.CASES,
    **cases_business.CASES,
    **cases_catalog.CASES,
    **cases_inventory.CASES,
    **cases_purchasing.CASES,
    **cases_pos.CASES,
}


def url(template: str, call: Call) -> str:
    return template.replace("{id}", call.id)
