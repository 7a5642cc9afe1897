"""How the routes of a business and its master data are called."""

from __future__ import annotations

from uuid import uuid4

from core.principal import MANAGEMENT, OWNERS, STAFF
from tests.api.case import Call, Case, RouteId, plain
from tests.api.shop import Shop, done

_ADDRESS = {"street": "1 High St", "city": "Leeds", "state": "W", "zip": "LS1", "country": "GB"}
_DAY = {"opens": "09:00", "closes": "17:00"}
_HOURS = {
    "week": {"monday": [_DAY]},
    "exceptions": [{"on": "2026-12-25", "name": "Christmas", "intervals": [_DAY]}],
}
_PROFILE = {
    "name": "Ada's",
    "legalName": "Ada Ltd",
    "address": _ADDRESS,
    "email": "ada@shop.test",
    "phone": "+44 113 496 0000",
    "website": "https://ada.example",
    "currency": "GBP",
    "pricesIncludeTax": True,
    "settings": {"language": "en-GB", "weekStartsOn": "sunday"},
    "version": 1,
}


def _location() -> dict[str, object]:
    return {
        "name": f"Branch {uuid4()}",
        "address": _ADDRESS,
        "phone": "+44 113 496 0000",
        "timeZone": "Europe/London",
        "currency": "GBP",
        "receiptHeader": "Welcome",
        "receiptFooter": "Come again",
        "openingHours": _HOURS,
    }


async def _create_location(_: Shop | None) -> Call:
    return Call(body=_location())


async def _get_location(shop: Shop | None) -> Call:
    return Call(await _made(shop, "locations", _location()))


async def _change_location(shop: Shop | None) -> Call:
    return Call((await _get_location(shop)).id, _location() | {"version": 1})


async def _create_class(_: Shop | None) -> Call:
    return Call(body={"name": f"Food {uuid4()}", "isDefault": True})


async def _class(shop: Shop | None) -> Call:
    return Call(await _made(shop, "tax-classes", {"name": f"Food {uuid4()}"}))


async def _change_class(shop: Shop | None) -> Call:
    body = {"name": f"Food {uuid4()}", "isDefault": False, "version": 1}
    return Call((await _class(shop)).id, body)


async def _create_rate(shop: Shop | None) -> Call:
    where = str(uuid4() if shop is None else shop.tenant)
    return Call(
        body={
            "taxClassId": (await _class(shop)).id,
            "locationId": where,
            "name": "VAT 20%",
            "taxPercent": 20,
            "validFrom": "2026-01-01T00:00:00Z",
        }
    )


async def _rate(shop: Shop | None) -> Call:
    body = (await _create_rate(shop)).body or {}
    return Call(await _made(shop, "tax-rates", body))


async def _change_rate(shop: Shop | None) -> Call:
    body = {"name": "VAT", "taxPercent": 0.0001, "validFrom": "2026-01-01T00:00:00Z", "version": 1}
    return Call((await _rate(shop)).id, body)


async def _made(shop: Shop | None, kind: str, body: dict[str, object]) -> str:
    if shop is None:
        return str(uuid4())
    made: str = done(await shop.owner.post(f"/api/business/{kind}", body))["id"]
    return made


_CHANGED = frozenset({200, 409})
_CLEARED_OF_LOCATIONS = frozenset(
    {"address", "receiptHeader", "receiptFooter", "openingHours", "week", "monday", "exceptions"}
)

CASES: dict[RouteId, Case] = {
    ("GET", "/api/business"): Case(STAFF, plain(), about_a_thing=False),
    ("PUT", "/api/business"): Case(
        MANAGEMENT,
        plain(body=_PROFILE),
        about_a_thing=False,
        statuses=_CHANGED,
        nullable=frozenset({"email", "address"}),
    ),
    ("DELETE", "/api/business"): Case(OWNERS, plain(), about_a_thing=False),
    ("GET", "/api/business/locations"): Case(STAFF, plain(), about_a_thing=False),
    ("POST", "/api/business/locations"): Case(MANAGEMENT, _create_location, about_a_thing=False),
    ("GET", "/api/business/locations/{id}"): Case(STAFF, _get_location),
    ("PUT", "/api/business/locations/{id}"): Case(
        MANAGEMENT, _change_location, nullable=_CLEARED_OF_LOCATIONS
    ),
    ("DELETE", "/api/business/locations/{id}"): Case(MANAGEMENT, _get_location),
    ("GET", "/api/business/tax-classes"): Case(STAFF, plain(), about_a_thing=False),
    ("POST", "/api/business/tax-classes"): Case(MANAGEMENT, _create_class, about_a_thing=False),
    ("GET", "/api/business/tax-classes/{id}"): Case(STAFF, _class),
    ("PUT", "/api/business/tax-classes/{id}"): Case(MANAGEMENT, _change_class),
    ("DELETE", "/api/business/tax-classes/{id}"): Case(MANAGEMENT, _class),
    ("GET", "/api/business/tax-rates"): Case(STAFF, plain(), about_a_thing=False),
    ("POST", "/api/business/tax-rates"): Case(MANAGEMENT, _create_rate),
    ("GET", "/api/business/tax-rates/{id}"): Case(STAFF, _rate),
    ("PUT", "/api/business/tax-rates/{id}"): Case(MANAGEMENT, _change_rate),
    ("DELETE", "/api/business/tax-rates/{id}"): Case(MANAGEMENT, _rate),
    ("GET", "/api/business/audit-log"): Case(OWNERS, plain(), about_a_thing=False),
}
