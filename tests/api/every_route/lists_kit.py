"""The lists that are measured, by what they are filtered, and who asks."""

from __future__ import annotations

from typing import Any, NamedTuple

from bench.filled import nth
from core.ids import uuid7
from core.paging import MAX_COUNTED
from store.inventory.suppliers import MAX_SUPPLIED_ITEMS
from store.people.profiles import MAX_ADDRESSES
from store.people.sessions import MAX_LISTED
from store.people.users import MAX_MEMBERSHIPS
from tests.api.cases import ROUTES, is_paged
from tests.api.every_route.followed import FOLLOWED

LIMIT = 20
# Pages of 8 kB for a row of an answer: through its index (three or four), the row itself, and
# what is looked up with it. A walk from the first of 20,000 rows would be a hundred times that.
MAX_PER_ROW = 12
MAX_BESIDE = 60
# For a row that is counted, of which there are MAX_COUNTED and one more.
MAX_PER_COUNTED = 1.5


class List(NamedTuple):
    """`queries` are the filters that it is tried with; `count` is what a counted row may cost,
    `beside` what is read whatever is asked."""

    path: str
    queries: tuple[dict[str, Any], ...] = ({},)
    count: float = MAX_PER_COUNTED
    beside: int = MAX_BESIDE


TENANT = uuid7()
FIRST, SECOND = str(nth(0, TENANT)), str(nth(1, TENANT))
# A business whose register is never online, and what its sales need.
OFFLINE = uuid7()

FILTERED = (
    List("/api/auth/members", count=5),
    List(
        "/api/business/audit-log",
        ({}, {"actorId": SECOND}, {"subjectId": SECOND}, {"action": "thing.1"}),
    ),
    List("/api/business/tax-rates", ({}, {"taxClassId": SECOND})),
    List(
        "/api/inventory/purchase-orders",
        (
            {},
            {"status": "draft"},
            {"status": "ordered"},
            {"supplierId": SECOND},
            {"productId": SECOND},
        ),
    ),
    List(
        "/api/inventory/reservations",
        (
            {},
            {"status": "expired"},
            {"status": "open"},
            {"locationId": SECOND},
            {"productId": SECOND},
        ),
    ),
    # Of each that is counted is asked whether it has the word.
    List("/api/crm/customers", ({}, {"q": "c777"}, {"q": "c"}, {"groupId": SECOND}), count=5),
    List("/api/inventory/status/low-stock", beside=MAX_COUNTED),
    List("/api/inventory/transfers", ({}, {"status": "in_transit"}, {"locationId": SECOND})),
    List("/api/inventory/{productId}/movements", ({}, {"sort": "-occurredAt"})),
    List("/api/pos/card-refunds", ({}, {"status": "refunded"}, {"status": "dead"})),
    List("/api/pos/parked-sales", ({}, {"locationId": SECOND})),
    List("/api/pos/registers", ({}, {"locationId": SECOND})),
    List(
        "/api/pos/sales",
        (
            {},
            {"locationId": SECOND},
            {"registerId": SECOND},
            {"shiftId": SECOND},
            {"cashierId": SECOND},
            {"offline": True},
            {"registerId": SECOND, "receiptNumber": 1},
        ),
    ),
    List(
        "/api/products",
        (
            {},
            {"vendorId": str(TENANT)},
            {"category": "C7"},
            {"sort": "price"},
            {"sort": "-name"},
            {"minPrice": 100, "maxPrice": 101, "sort": "price"},
            {"sku": "S-77"},
            {"barcode": "000000000077"},
            {"q": "s-777"},
        ),
    ),
    # Of a word that all products have some are ranked; for another order MAX_COUNTED are sorted,
    # each with its product and its key.
    List("/api/products", ({"q": "s"},), beside=1_000),
    List("/api/products", ({"q": "s", "sort": "name"},), count=3.5, beside=7 * MAX_COUNTED),
    # A price is asked which product it is of, each of those that are counted; and where nothing
    # else narrows the list, it is looked up where the first MAX_COUNTED of them end.
    List(
        "/api/products",
        (
            {"currency": "EUR", "sort": "price"},
            {"currency": "EUR", "sort": "-price", "vendorId": str(TENANT)},
            {"currency": "EUR", "sort": "price", "minPrice": 50, "maxPrice": 51},
            {"currency": "GBP", "sort": "price", "minPrice": 50},
            {"currency": "GBP", "sort": "-price", "vendorId": str(TENANT)},
        ),
        count=8,
        beside=300,
    ),
    List("/api/users", ({}, {"role": "vendor"}, {"role": "admin"}, {"disabled": True})),
    List("/api/users/audit-log", ({"actorId": SECOND},)),
)

PAGED = {route.template for route in ROUTES.values() if is_paged(route)}

# All rows, in the order in which they changed: see `followed`.
SINCE = {"updatedSince": "2000-01-01T00:00:00Z"}
CHANGES = tuple(
    List(path, (SINCE | ({"vendorId": str(TENANT)} if path == "/api/products" else {}),))
    for path in FOLLOWED
)

LISTS = (*FILTERED, *CHANGES, *map(List, sorted(PAGED - {listed.path for listed in FILTERED})))

# What is not asked for page by page: with what, how many rows it answers with, and what one costs.
WHOLE = {
    "/api/products/categories": ({"vendorId": str(TENANT)}, 100, 2),
    "/api/products/categories/tree": ({"vendorId": str(TENANT)}, 100, 2),
    "/api/products/export": ({"limit": LIMIT}, LIMIT, MAX_PER_ROW),
    "/api/products/{productId}/variants": ({}, 0, 1),
    "/api/auth/memberships": ({}, MAX_MEMBERSHIPS, MAX_PER_ROW),
    "/api/auth/sessions": ({}, MAX_LISTED, MAX_PER_ROW),
    "/api/users/addresses": ({}, MAX_ADDRESSES, 2),
    "/api/inventory/suppliers/{supplierId}/items": ({}, MAX_SUPPLIED_ITEMS, 2),
}

NOBODY = str(uuid7())

# What finds nothing, or what the first rows are not.
IN_VAIN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/api/products", {"inStock": False}),
    ("/api/products", {"inStock": False, "sort": "name"}),
    ("/api/products", {"inStock": False, "vendorId": str(TENANT)}),
    ("/api/products", {"option": "color:none"}),
    ("/api/products", {"currency": "JPY"}),
    ("/api/products", {"currency": "EUR", "inStock": False}),
    ("/api/products", {"currency": "CHF", "sort": "price"}),
    ("/api/products", {"currency": "CHF", "sort": "-price", "inStock": True}),
    ("/api/products", {"maxPrice": 0, "minPrice": 0, "inStock": False, "sort": "-name"}),
    ("/api/users", {"q": "nobody is called so"}),
    ("/api/users", {"q": "nobody is called so", "role": "vendor"}),
    ("/api/pos/sales", {"cashierId": NOBODY, "locationId": SECOND}),
    ("/api/pos/sales", {"receiptNumber": 2_000_000}),
    ("/api/pos/sales", {"registerId": FIRST, "offline": False, "cashierId": NOBODY}),
    ("/api/inventory/reservations", {"status": "open", "locationId": SECOND}),
    ("/api/inventory/purchase-orders", {"status": "ordered", "supplierId": SECOND}),
    ("/api/inventory/transfers", {"status": "in_transit", "locationId": SECOND}),
    ("/api/business/audit-log", {"actorId": SECOND, "subjectId": FIRST}),
)
