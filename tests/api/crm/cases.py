"""How the routes of customers are called."""

from __future__ import annotations

from uuid import uuid4

from core.principal import MANAGEMENT, STAFF
from deployments.crm.customers import EDITORS
from tests.api.case import Call, Case, RouteId, plain
from tests.api.shop import Shop, done

URL = "/api/crm"
_EXEMPTION = {"reason": "Diplomat", "certificateNumber": "D-1", "validUntil": "2099-12-31"}


def _customer(group: str | None) -> dict[str, object]:
    return {
        "name": "Ann Müller",
        "email": f"{uuid4()}@shop.test",
        "phone": "+44 113 496 0000",
        "groupId": group,
        "taxExemption": _EXEMPTION,
        "notes": "Likes Assam",
        "externalId": str(uuid4()),
        "tags": ["tea"],
        "metadata": {"colour": "green"},
    }


async def _create(shop: Shop | None) -> Call:
    return Call(body=_customer((await _group(shop)).id))


async def _customer_of(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid4()))
    return Call(done(await shop.owner.post(f"{URL}/customers", _customer(None)))["id"])


async def _change(shop: Shop | None) -> Call:
    return Call((await _customer_of(shop)).id, (await _create(shop)).body)


async def _create_group(_: Shop | None) -> Call:
    return Call(body={"name": f"Regulars {uuid4()}"})


async def _group(shop: Shop | None) -> Call:
    made = await _create_group(shop)
    if shop is None:
        return Call(str(uuid4()))
    return Call(done(await shop.owner.post(f"{URL}/customer-groups", made.body))["id"])


async def _change_group(shop: Shop | None) -> Call:
    return Call((await _group(shop)).id, (await _create_group(shop)).body)


_MAY_BE_NULL = frozenset(
    {
        *("name", "email", "phone", "groupId", "taxExemption", "notes", "externalId"),
        *("reason", "certificateNumber", "validUntil"),
    }
)
_CLEARED = _MAY_BE_NULL | {"tags", "metadata", "colour"}

CASES: dict[RouteId, Case] = {
    ("GET", "/api/crm/customers"): Case(STAFF, plain(query={"q": "ann"}), about_a_thing=False),
    ("GET", "/api/crm/customers/{id}"): Case(STAFF, _customer_of),
    ("POST", "/api/crm/customers"): Case(
        STAFF, _create, about_a_thing=False, nullable=_MAY_BE_NULL
    ),
    ("PUT", "/api/crm/customers/{id}"): Case(EDITORS, _change, nullable=_CLEARED),
    ("DELETE", "/api/crm/customers/{id}"): Case(EDITORS, _customer_of),
    ("GET", "/api/crm/customer-groups"): Case(STAFF, plain(), about_a_thing=False),
    ("GET", "/api/crm/customer-groups/{id}"): Case(STAFF, _group),
    ("POST", "/api/crm/customer-groups"): Case(MANAGEMENT, _create_group, about_a_thing=False),
    ("PUT", "/api/crm/customer-groups/{id}"): Case(MANAGEMENT, _change_group),
    ("DELETE", "/api/crm/customer-groups/{id}"): Case(MANAGEMENT, _group),
}
