"""How the routes about people are called: those of a business, and those of a person's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from core.ids import uuid7
from core.principal import MANAGEMENT, MEMBERS, Role
from tests.api.case import EVERYONE, PEOPLE, Call, Case, RouteId, plain
from tests.api.shop import Shop, done

_ADMINS = frozenset({Role.ADMIN})
ADDRESS = {
    "street": "1 High St",
    "city": "Leeds",
    "state": "W",
    "zip": "LS1",
    "country": "GB",
    "isDefault": True,
}
_PASSWORDS = {"currentPassword": "secret-1", "newPassword": "secret-2"}
_PROFILE = {
    "phone": "+44 113 496 0000",
    "preferences": {"newsletter": False, "theme": "dark"},
}
# Well-formed, and nobody's.
_LINK = "A" * 86


async def _member(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid4()))
    return Call(str((await shop.caller(Role.CASHIER)).id))


async def _change_member(shop: Shop | None) -> Call:
    return Call((await _member(shop)).id, {"role": "staff"})


async def _invite(_: Shop | None) -> Call:
    return Call(body={"email": f"{uuid7()}@shop.test", "role": "cashier"})


async def _invitation(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid4()))
    body = (await _invite(shop)).body
    made = done(await shop.owner.post("/api/auth/invitations", body))
    return Call(made["id"])


async def _rotate(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid4()), {"graceSeconds": 600})
    body = {"name": "till", "scopes": ["catalog:read"]}
    made = done(await shop.owner.post("/api/auth/service-keys", body))
    return Call(made["id"], {"graceSeconds": 600})


async def _new_api_key(_: Shop | None) -> Call:
    soon = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    body = {"name": "sheet", "scopes": ["inventory:write"], "expiresAt": soon}
    return Call(body=body | {"rateLimitPerSecond": 50})


async def _api_key(shop: Shop | None) -> Call:
    """A cashier's: those above end it, to the others it does not exist."""
    if shop is None:
        return Call(str(uuid4()))
    cashier = await shop.caller(Role.CASHIER)
    body = {"name": "sheet", "scopes": ["catalog:read"]}
    return Call(done(await cashier.post("/api/auth/api-keys", body))["id"])


async def _strangers_key(_: Shop | None) -> Call:
    return Call(str(uuid4()), {"graceSeconds": 600})


async def _stranger(_: Shop | None) -> Call:
    return Call(str(uuid4()))


async def _strangers_address(_: Shop | None) -> Call:
    return Call(str(uuid4()), ADDRESS)


async def _account(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid4()))
    return Call(str((await shop.caller(Role.CUSTOMER)).id))


async def _account_role(shop: Shop | None) -> Call:
    return Call((await _account(shop)).id, {"role": "vendor"})


def _nobodys(may: frozenset[Role], make: object = _stranger) -> Case:
    """A person's own thing, of which these callers have none: it answers 404 to all."""
    return Case(
        may,
        make,  # type: ignore[arg-type]
        about_a_thing=False,
        own=False,
        statuses=frozenset({404}),
    )


def _own(**call: object) -> Case:
    """About the caller alone, who is always there."""
    return Case(PEOPLE, plain(**call), about_a_thing=False)


def _open(statuses: set[int], **call: object) -> Case:
    return Case(
        EVERYONE, plain(**call), about_a_thing=False, own=False, statuses=frozenset(statuses)
    )


def _administered(make: object) -> Case:
    return Case(_ADMINS, make, own=False, across=_ADMINS)  # type: ignore[arg-type]


CASES: dict[RouteId, Case] = {
    ("GET", "/api/auth/sessions"): _own(),
    ("DELETE", "/api/auth/sessions"): _own(),
    ("DELETE", "/api/auth/sessions/{id}"): _nobodys(PEOPLE),
    # The people of these tests have no password that anybody could know.
    ("POST", "/api/auth/password/change"): Case(
        PEOPLE, plain(body=_PASSWORDS), about_a_thing=False, statuses=frozenset({401})
    ),
    ("POST", "/api/auth/password/forgot"): _open({202}, body={"email": "nobody@shop.test"}),
    ("POST", "/api/auth/password/reset"): _open(
        {404}, body={"token": f"hfp_{_LINK}", "password": "secret-2"}
    ),
    ("POST", "/api/auth/email/verify"): _open({404}, body={"token": f"hfv_{_LINK}"}),
    # Those of these tests have no account that a mail could go to.
    ("POST", "/api/auth/email/send"): Case(
        PEOPLE, plain(), about_a_thing=False, statuses=frozenset({202})
    ),
    ("GET", "/api/auth/members"): Case(MANAGEMENT, plain(), about_a_thing=False),
    ("PUT", "/api/auth/members/{id}"): Case(MANAGEMENT, _change_member),
    ("DELETE", "/api/auth/members/{id}"): Case(MANAGEMENT, _member),
    ("GET", "/api/auth/memberships"): _own(),
    ("DELETE", "/api/auth/memberships/{id}"): _nobodys(PEOPLE),
    ("GET", "/api/auth/invitations"): Case(MANAGEMENT, plain(), about_a_thing=False),
    ("POST", "/api/auth/invitations"): Case(MANAGEMENT, _invite, about_a_thing=False),
    ("GET", "/api/auth/invitations/{id}"): Case(MANAGEMENT, _invitation),
    ("DELETE", "/api/auth/invitations/{id}"): Case(MANAGEMENT, _invitation),
    ("POST", "/api/auth/invitations/preview"): _open({404}, body={"token": f"hfi_{_LINK}"}),
    ("POST", "/api/auth/invitations/accept"): Case(
        EVERYONE,
        plain(body={"token": f"hfi_{_LINK}", "password": "secret-2", "name": "Bob"}),
        about_a_thing=False,
        own=False,
        statuses=frozenset({404}),
        nullable=frozenset({"name"}),
    ),
    ("POST", "/api/auth/service-keys/{id}/rotate"): Case(MANAGEMENT, _rotate),
    ("POST", "/api/auth/api-keys"): Case(MEMBERS, _new_api_key, about_a_thing=False),
    ("GET", "/api/auth/api-keys"): Case(MEMBERS, plain(), about_a_thing=False),
    ("POST", "/api/auth/api-keys/{id}/rotate"): _nobodys(MEMBERS, _strangers_key),
    ("GET", "/api/auth/api-keys/{id}"): Case(MEMBERS, _api_key, statuses=frozenset({200, 404})),
    ("DELETE", "/api/auth/api-keys/{id}"): Case(MEMBERS, _api_key, statuses=frozenset({200, 404})),
    ("GET", "/api/users/profile"): _own(),
    ("PUT", "/api/users/profile"): _own(body=_PROFILE),
    ("GET", "/api/users/addresses"): _own(),
    ("POST", "/api/users/address"): _own(body=ADDRESS),
    ("GET", "/api/users/address/{id}"): _nobodys(PEOPLE),
    ("PUT", "/api/users/address/{id}"): _nobodys(PEOPLE, _strangers_address),
    ("DELETE", "/api/users/address/{id}"): _nobodys(PEOPLE),
    ("GET", "/api/users"): Case(_ADMINS, plain(), about_a_thing=False, own=False),
    ("GET", "/api/users/audit-log"): Case(_ADMINS, plain(), about_a_thing=False, own=False),
    ("GET", "/api/users/{id}"): _administered(_account),
    ("POST", "/api/users/{id}/disable"): _administered(_account),
    ("POST", "/api/users/{id}/enable"): _administered(_account),
    ("PUT", "/api/users/{id}/role"): _administered(_account_role),
}
