"""Every PUT and PATCH keeps one rule: what is left out stays, objects merge, lists are replaced,
and null clears what may be empty. Generated from the routes: each field that a body may have is
given alone, and all others are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio

from core.principal import Role
from deployments.capabilities import CAPABILITIES
from gateway.app import placed_routes
from gateway.changes import Partial, merged
from gateway.openapi import describe
from tests.api.case import Call, RouteId
from tests.api.cases import CASES, ROUTES, url
from tests.api.in_process import InProcessStack
from tests.api.shop import Caller, Shop, done, open_shop, problem

MODULE = pytest.mark.asyncio(loop_scope="module")

# Two values of a field, the first of which is set before the second is given alone.
Pairs = dict[str, tuple[Any, Any]]
CHANGING = [route for route in CASES if route[0] in ("PUT", "PATCH")]
DOCUMENT = describe(placed_routes(CAPABILITIES))
SCHEMAS = DOCUMENT["components"]["schemas"]
MONDAY = {"week": {"monday": [{"opens": "09:00", "closes": "17:00"}]}}
TUESDAY = {"week": {"tuesday": [{"opens": "10:00", "closes": "16:00"}]}}
ONE, TWO = "https://shop.test/1.png", "https://shop.test/2.png"
PAIRS: Pairs = {
    "email": ("ann@example.com", "bob@example.com"),
    "phone": ("+441134960000", "+441134960001"),
    "website": ("https://ann.test", "https://bob.test"),
    "currency": ("EUR", "USD"),
    "timeZone": ("Europe/London", "Europe/Berlin"),
    "language": ("en", "de-CH"),
    "validFrom": ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
    "expectedAt": ("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"),
    "openingHours": (MONDAY, TUESDAY),
    "images": ([ONE, TWO], [TWO, ONE]),
    "imageAlts": ({ONE: "A lamp"}, {TWO: "Its box"}),
    "prices": ({"USD": 4.5}, {"CHF": 5.5}),
    "category": ("Light", "Light > Lamps"),
    "tags": (["one"], ["two", "three"]),
    "metadata": ({"shelf": "1"}, {"box": "2"}),
    "taxExemption": ({"reason": "school"}, {"certificateNumber": "17"}),
}
# What goes when a field is cleared, or has another value.
GO_WITH = {"images": {"imageAlts"}, "currency": {"cashRounding"}}
# What is another thing's where it has none of its own.
INHERITED = {("PUT", "/api/products/variants/{id}"): {"price"}}
# What cannot be given alone.
TOGETHER = {("PUT", "/api/products/{id}"): {"currency", "components"}}


async def _locations(shop: Shop) -> Pairs:
    return {"locationId": (str(shop.tenant), str(await shop.location()))}


async def _categories(shop: Shop) -> Pairs:
    new = CASES["POST", "/api/products/categories"].make
    made = [
        done(await shop.owner.post("/api/products/categories", (await new(None)).body))["id"]
        for _ in range(2)
    ]
    return {"parentId": (made[0], made[1]), "slug": (f"a-{uuid4().hex}", f"b-{uuid4().hex}")}


async def _classes(shop: Shop) -> Pairs:
    names = [f"Class {uuid4()}" for _ in range(2)]
    path = "/api/business/tax-classes"
    made = [done(await shop.owner.post(path, {"name": name}))["id"] for name in names]
    return {"taxClassId": (made[0], made[1])}


async def _variant(shop: Shop) -> Pairs:
    return {"options": ({"size": "M"}, {"size": "L"}), **await _classes(shop)}


async def _order(shop: Shop) -> Pairs:
    tea, cup = await shop.product(), await shop.product()
    suppliers = [
        done(await shop.owner.post("/api/inventory/suppliers", {"name": str(uuid4())}))["id"]
        for _ in range(2)
    ]
    lines = [[{"productId": item, "quantity": 2, "cost": 1.25}] for item in (tea, cup)]
    pairs: Pairs = {"supplierId": tuple(suppliers), "lines": tuple(lines)}  # type: ignore[dict-item]
    return pairs | await _locations(shop)


async def _groups(shop: Shop) -> Pairs:
    path = "/api/crm/customer-groups"
    made = [done(await shop.owner.post(path, {"name": name}))["id"] for name in ("A", "B")]
    return {"groupId": (made[0], made[1])}


async def _supplied(shop: Shop) -> Pairs:
    tea, cup = await shop.product(), await shop.product()
    return {"items": ([{"productId": tea, "cost": 1.5}], [{"productId": cup, "supplierSku": "C"}])}


async def _roles(_: Shop, *, roles: tuple[str, str]) -> Pairs:
    return {"role": roles}


OWN_PAIRS: dict[RouteId, Callable[[Shop], Awaitable[Pairs]]] = {
    ("PUT", "/api/products/{id}"): _classes,
    ("PUT", "/api/products/variants/{id}"): _variant,
    ("PUT", "/api/products/categories/{id}"): _categories,
    ("PUT", "/api/pos/registers/{id}"): _locations,
    ("PUT", "/api/inventory/purchase-orders/{id}"): _order,
    ("PUT", "/api/inventory/suppliers/{id}/items"): _supplied,
    ("PUT", "/api/crm/customers/{id}"): _groups,
    ("PUT", "/api/auth/members/{id}"): partial(_roles, roles=("staff", "manager")),
    ("PUT", "/api/users/{id}/role"): partial(_roles, roles=("vendor", "customer")),
}


async def _address(shop: Shop) -> Call:
    return Call(done(await shop.owner.post("/api/users/address", {"city": "Leeds"}))["id"])


# By whom nothing is there in the tables of cases.
OWN_CALLS = {("PUT", "/api/users/address/{id}"): _address}


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_shop(here, keyed=True) as opened:
        yield opened


@MODULE
@pytest.mark.parametrize("route", CHANGING, ids=" ".join)
async def test_what_is_left_out_stays(shop: Shop, route: RouteId) -> None:
    make = OWN_CALLS.get(route) or CASES[route].make
    call = await make(shop)
    owner = Role.OWNER in CASES[route].may
    caller = shop.owner if owner else await shop.caller(Role.ADMIN)
    changing = Changing(caller, route[0], url(route[1], call))
    pairs = await _pairs(shop, route)
    await changing.to({name: first for name, (first, _) in pairs.items()})
    present = await changing.to({})
    assert await changing.to({}) == present, "{} changes nothing"
    alone = {name: pair for name, pair in pairs.items() if name not in TOGETHER.get(route, ())}
    for name, (first, second) in alone.items():
        after = await changing.to({name: second})
        assert _holds(after[name], second), (name, after[name])
        rest = {other: pair for other, pair in alone.items() if other not in GO_WITH.get(name, ())}
        assert _others(after, name, rest) == _others(present, name, rest), name
        if isinstance(first, dict):
            assert _holds(after[name], merged(first, second)), f"{name} is merged"
        present = after
    for name, (_, second) in alone.items():
        answer = await changing.ask({name: None})
        if answer.status_code == 400:
            assert [wrong["field"] for wrong in problem(answer, 400)["errors"]] == [name]
            continue
        after = changing.data_of(answer)
        if name not in INHERITED.get(route, ()):
            assert _is_empty(after.get(name)), (name, after)
        rest = {other: pair for other, pair in alone.items() if other not in GO_WITH.get(name, ())}
        assert _others(after, name, rest) == _others(present, name, rest), name
        present = await changing.to({name: second})


@MODULE
async def test_an_object_loses_what_is_null_and_keeps_the_rest(shop: Shop) -> None:
    path = f"/api/products/{await shop.product(prices={'USD': 4.5, 'CHF': 5.5})}"
    changing = Changing(shop.owner, "PUT", path)
    assert (await changing.to({"prices": {"USD": None}}))["prices"] == {"CHF": 5.5}
    hours = Changing(shop.owner, "PUT", f"/api/business/locations/{shop.tenant}")
    await hours.to({"openingHours": MONDAY})
    after = await hours.to({"openingHours": {"week": {"monday": None, **TUESDAY["week"]}}})
    assert after["openingHours"]["week"] == TUESDAY["week"]


@MODULE
async def test_what_two_change_at_once_both_have_changed(shop: Shop) -> None:
    """Of what an owner decides, too: nothing is read here and written there."""
    made = done(await shop.owner.post("/api/pos/registers", {"name": "One"}))
    changing = Changing(shop.owner, "PUT", f"/api/pos/registers/{made['id']}")
    for number in range(8):
        name = f"Till {number}"
        await asyncio.gather(
            changing.to({"name": name}), changing.to({"discountLimitPercent": number})
        )
        after = await changing.to({})
        assert (after["name"], after["discountLimitPercent"]) == (name, number)


@pytest.mark.parametrize("route", CHANGING, ids=" ".join)
def test_its_body_says_nothing_by_itself(route: RouteId) -> None:
    [body] = ROUTES[route].dependant.body_params
    model = body.field_info.annotation
    assert isinstance(model, type)
    assert issubclass(model, Partial), f"{model.__name__} is to be a Partial (gateway/changes.py)"
    assert [name for name, field in model.model_fields.items() if field.is_required()] == []


class Changing:
    """What is changed, and by whom."""

    def __init__(self, caller: Caller, method: str, path: str) -> None:
        self._caller, self._method, self._path = caller, method, path

    async def ask(self, body: Mapping[str, Any]) -> httpx2.Response:
        return await self._caller.call(self._method, self._path, body, key=str(uuid4()))

    async def to(self, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.ask(body)
        assert answer.status_code == 200, (body, answer.text)
        return self.data_of(answer)

    @staticmethod
    def data_of(answer: httpx2.Response) -> dict[str, Any]:
        """A list that is kept as a whole is called as its body calls it."""
        data = done(answer)
        return {"items": data} if isinstance(data, list) else data


async def _pairs(shop: Shop, route: RouteId) -> Pairs:
    """Two values of each field that the route's body may have."""
    template = ROUTES[route].template
    body = DOCUMENT["paths"][template][route[0].lower()]["requestBody"]["content"]
    own = await OWN_PAIRS[route](shop) if route in OWN_PAIRS else {}
    return _pairs_of(body["application/json"]["schema"], own)


def _pairs_of(schema: Mapping[str, Any], own: Pairs) -> Pairs:
    schema = _resolved(schema)
    return {
        name: own.get(name) or PAIRS.get(name) or _pair(name, said)
        for name, said in schema["properties"].items()
        if name not in ("version", "components")
    }


def _pair(name: str, schema: Mapping[str, Any]) -> tuple[Any, Any]:
    said = _resolved(schema)
    if "enum" in said:
        return said["enum"][0], said["enum"][1]
    match said.get("type"):
        case "boolean":
            return False, True
        case "integer" | "number":
            least = int(said.get("minimum", 0))
            return least + 1, least + 2
        case "object" if "properties" in said:
            inner = _pairs_of(said, {}).items()
            firsts = {key: first for key, (first, _) in inner}
            [(key, (_, second)), *_] = inner
            return firsts, {key: second}
        case "string" if said.get("format") in (None, "email"):
            return f"{name[:6]}-{uuid4().hex[:8]}", f"{name[:6]}-{uuid4().hex[:8]}"
    raise AssertionError(f"give two values of {name} in PAIRS, or in OWN_PAIRS")


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        return _resolved(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    for inner in schema.get("anyOf", schema.get("allOf", ())):
        if inner.get("type") != "null":
            return _resolved(inner)
    return schema


def _holds(shown: Any, said: Any) -> bool:
    """Whether an answer shows all that was said; an object that was merged holds more."""
    if isinstance(said, dict):
        return isinstance(shown, dict) and all(
            name in shown and _holds(shown[name], value) for name, value in said.items()
        )
    if isinstance(said, list):
        return len(shown) == len(said) and all(map(_holds, shown, said))
    return bool(shown == said)


def _others(answer: Mapping[str, Any], name: str, pairs: Pairs) -> dict[str, Any]:
    return {other: answer.get(other) for other in pairs if other != name}


def _is_empty(shown: Any) -> bool:
    if isinstance(shown, dict):
        return all(map(_is_empty, shown.values()))
    return shown is None or shown in ("", [])
