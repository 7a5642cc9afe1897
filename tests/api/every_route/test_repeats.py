"""The answer was lost, and the world has moved on: a repeat with the same key hears what the first
try was told. Generated from the routes, and once for each thing that can have moved."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from core.principal import Role
from core.settings import Settings
from deployments.business.owners import OWNERS
from deployments.business.places import PLACES
from tests.api.auth.cases import ADDRESS
from tests.api.case import Call, Case, RouteId
from tests.api.cases import CASES, url
from tests.api.harness import Served
from tests.api.in_process import InProcessStack, in_process
from tests.api.shop import Caller, Shop, done, everything_of, open_shop

MUTATING = [route for route in CASES if route[0] != "GET"]
# Nothing is kept of what holds secrets, and nothing of what only reads, mails, or ends its session.
UNKEYED = {
    ("POST", "/api/auth/register"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/refresh"),
    ("POST", "/api/auth/logout"),
    ("POST", "/api/auth/password/forgot"),
    ("POST", "/api/pos/quotes"),
    ("POST", "/api/auth/invitations/preview"),
    ("POST", "/api/auth/invitations/accept"),
    ("POST", "/api/auth/password/change"),
    ("POST", "/api/auth/password/reset"),
    ("POST", "/api/auth/email/verify"),
}
# By somebody with an account: `test_members.py`, which is where those sign in.
TRIED_ELSEWHERE = {
    ("DELETE", "/api/auth/memberships/{id}"),
    ("DELETE", "/api/auth/sessions/{id}"),
}
NOUNS = sorted({path.split("/")[2] for _, path in MUTATING})
ROLES = (Role.OWNER, Role.ADMIN, Role.CUSTOMER)
# Told once, by design: a repeat cannot show them.
SECRETS = ("secret", "token", "link")


@pytest.fixture
async def served(embedded: Settings) -> AsyncIterator[Served]:
    async with in_process(embedded) as here:
        yield here.served


@pytest.mark.parametrize("noun", NOUNS)
async def test_whatever_has_changed_a_repeat_hears_the_first_answer(
    served: Served, noun: str
) -> None:
    wrong, tried, untried = [], 0, set[RouteId]()
    for route in MUTATING:
        if route in UNKEYED or route[1].split("/")[2] != noun:
            continue
        async with open_shop(InProcessStack.of(served)) as shop:
            outcome = await _repeated(served, shop, route, CASES[route])
        tried += outcome is not None
        if outcome is None:
            untried.add(route)
        if outcome:
            wrong.append((*route, outcome))
    assert not wrong
    assert tried
    assert untried <= TRIED_ELSEWHERE


async def _repeated(served: Served, shop: Shop, route: RouteId, case: Case) -> str | None:
    """What was wrong with a repeat, "" if nothing; None where the first try does nothing."""
    (method, template), key = route, str(uuid4())
    role = next((role for role in ROLES if role in case.may), None)
    if role is None:
        return None
    caller = shop.owner if role is Role.OWNER else await shop.caller(role)
    make = OWN.get(route)
    call = await (make(caller, shop) if make else case.make(shop))

    async def ask(content: bytes | None) -> httpx2.Response:
        headers = {"Content-Type": "application/json"} if content else {}
        path = url(template, call)
        return await caller.call(method, path, key=key, content=content, headers=headers)

    body = None if call.body is None else json.dumps(call.body).encode()
    first = await ask(body)
    if not first.is_success:
        return None
    if route != ("DELETE", "/api/business"):
        await move_the_world(served, shop)
    before = await everything_of(shop)
    again = await ask(body)
    if said(again) != said(first):
        return f"{first.status_code}, then {again.status_code} {again.text[:300]}"
    if body is not None:
        other = await ask(json.dumps(call.body, indent=1).encode())
        if other.status_code != 422:
            return f"another body: {other.status_code} {other.text[:300]}"
    return "" if await everything_of(shop) == before else "something was written"


async def _address(caller: Caller, _: Shop) -> Call:
    made = done(await caller.post("/api/users/address", ADDRESS))
    return Call(made["id"])


async def _changed_address(caller: Caller, shop: Shop) -> Call:
    return Call((await _address(caller, shop)).id, {**ADDRESS, "city": "York"})


async def _rotated(caller: Caller, _: Shop) -> Call:
    body = {"name": "sheet", "scopes": ["catalog:read"]}
    made = done(await caller.post("/api/auth/api-keys", body))
    return Call(made["id"], {"graceSeconds": 600})


async def _released(_: Caller, shop: Shop) -> Call:
    product = await shop.product(5)
    await shop.reserve(product, 2)
    return Call(body={"productId": product, "quantity": 1})


# What the caller must have, so that there is something to be repeated.
OWN = {
    ("PUT", "/api/users/address/{id}"): _changed_address,
    ("DELETE", "/api/users/address/{id}"): _address,
    ("POST", "/api/auth/api-keys/{id}/rotate"): _rotated,
    ("POST", "/api/inventory/release"): _released,
}


def said(answer: httpx2.Response) -> tuple[int, Any, str | None]:
    body = answer.json()
    data = body.get("data")
    if isinstance(data, dict):
        for name in SECRETS:
            data.pop(name, None)
    return answer.status_code, body, answer.headers.get("x-holdfast-receipt")


async def move_the_world(served: Served, shop: Shop) -> None:
    """All that a business has is changed, ended or deleted, and no replica remembers it."""
    for row in await shop.rows(
        "SELECT id, shift_id FROM pos_registers WHERE tenant_id = $1 AND NOT removed", shop.tenant
    ):
        path = f"/api/pos/registers/{row['id']}"
        if row["shift_id"] is not None:
            done(await shop.owner.post(f"{path}/shifts/close", {"counted": 1}))
        assert (await shop.owner.call("DELETE", path)).is_success
    await _change_master_data(shop)
    resources: Any = served.resources
    for part in (OWNERS, PLACES):
        resources.parts.pop(part, None)


async def _change_master_data(shop: Shop) -> None:
    """As the schema's owner, past every rule that would forbid it."""
    tables = await shop.rows(
        "SELECT table_name AS name, array_agg(column_name::text) AS columns"
        " FROM information_schema.columns WHERE table_schema = 'public'"
        " GROUP BY 1 HAVING bool_or(column_name = 'tenant_id') OR table_name = 'businesses'"
    )
    statements = ["SET session_replication_role = replica"]
    for table in tables:
        name, columns = table["name"], table["columns"]
        changes = []
        if "deleted_at" in columns and name != "businesses":
            main = "id = tenant_id" if name == "locations" else "false"  # which stays
            changes.append(f"deleted_at = CASE WHEN {main} THEN NULL ELSE now() END")
        if name in ("products", "locations", "businesses", "suppliers"):
            changes.append("currency = 'JPY'")
        if name in ("products", "product_variants"):
            changes += [
                "price_minor = price_minor + 100",
                "sku = md5(sku)",
                "version = version + 1",
            ]
        if changes:
            owner = "id" if name == "businesses" else "tenant_id"
            changed = ", ".join(changes)
            statements.append(f"UPDATE {name} SET {changed} WHERE {owner} = '{shop.tenant}'")
    connection = await shop.stack.database()
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
