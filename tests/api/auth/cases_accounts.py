"""How the routes by which people and machines come in are called."""

from __future__ import annotations

from core.ids import uuid7
from core.principal import MANAGEMENT
from tests.api.case import PEOPLE, SIGNED_IN, Call, Case, RouteId, for_everyone, plain
from tests.api.shop import Shop, done


async def _register(_: Shop | None) -> Call:
    email = f"{uuid7()}@shop.test"
    body = {"name": "Ann", "email": email, "password": "secret-1", "role": "vendor"}
    return Call(body=body | {"businessName": "Ann's", "currency": "EUR"})


async def _key(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid7()))
    body = {"name": "till", "scopes": ["catalog:read"]}
    made = done(await shop.owner.post("/api/auth/service-keys", body))
    return Call(made["id"])


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

CASES: dict[RouteId, Case] = {
    ("POST", "/api/auth/register"): for_everyone(_register),
    ("POST", "/api/auth/login"): for_everyone(plain(body=_NOBODY), statuses=_ONCE),
    ("POST", "/api/auth/refresh"): for_everyone(plain(body=_NO_TOKEN), statuses=_ONCE),
    ("POST", "/api/auth/logout"): Case(PEOPLE, plain(), about_a_thing=False),
    ("GET", "/api/auth/me"): Case(SIGNED_IN, plain(), about_a_thing=False),
    ("GET", "/api/auth/jwks"): for_everyone(),
    ("POST", "/api/auth/service-keys"): Case(MANAGEMENT, _new_key, about_a_thing=False),
    ("GET", "/api/auth/service-keys"): Case(MANAGEMENT, plain(), about_a_thing=False),
    ("GET", "/api/auth/service-keys/{id}"): Case(MANAGEMENT, _key),
    ("DELETE", "/api/auth/service-keys/{id}"): Case(MANAGEMENT, _key),
}
