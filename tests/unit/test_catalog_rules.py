"""What a request makes of a product, and an import of a catalogue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from core.errors import ValidationFailed
from core.ids import uuid7
from core.principal import Principal, Role
from deployments.catalog.access import sees_costs
from deployments.catalog.categories.rules import as_written
from deployments.catalog.files.import_rules import Outcome, Shelf, TaxClasses, read_rows
from deployments.catalog.files.import_schemas import ProductRow
from deployments.catalog.products.rules import Author, changed, created, differing
from deployments.catalog.products.schemas import NewProduct, ProductChanges, ProductOut
from store.catalog.products import Product

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
AUTHOR = Author(uuid7(), uuid7(), NOW, "GBP")


def lamp(**fields: Any) -> Product:
    return created(NewProduct(**{"name": "Lamp", "price": Decimal("2.55"), **fields}), AUTHOR)


def test_a_new_product_gets_the_business_currency_and_a_sku() -> None:
    product = lamp()
    assert (product.price_minor, product.currency, product.version) == (255, "GBP", 1)
    assert product.sku.startswith("P-")
    assert lamp().sku != product.sku
    assert lamp(currency="JPY", price=300).price_minor == 300


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"price": Decimal("2.555")}, "price"),
        ({"price": Decimal("1.5"), "currency": "JPY"}, "price"),
        ({"price": 10**12}, "price"),
        ({"currency": "ZZZ"}, "currency"),
    ],
)
def test_money_that_does_not_exist_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        lamp(**fields)
    assert refused.value.errors[0].field == field


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": " \t"},
        {"name": "x" * 256},
        {"name": None},
        {"price": -1},
        {"price": "2.55"},
        {"price": True},
        {"price": Decimal("NaN")},
        {"sku": "x" * 65},
        {"sku": "a  b"},
        {"sku": " a"},
        {"category": "x" * 101},
        {"category": ""},
        {"category": "Toys > "},
        {"category": "a > b > c > d > e > f"},
        {"description": "x" * 10_001},
        {"description": None},
        {"images": ["ftp://x/y.png"]},
        {"images": ["https://"]},
        {"images": ["https://x/ y"]},
        {"images": ["https://x/" + "y" * 2048]},
        {"images": ["https://x/y"] * 21},
        {"currency": "gbp"},
        {"barcode": ""},
        {"stock": 5},
    ],
)
def test_bad_fields_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewProduct(**{"name": "Lamp", "price": 1, **fields})


def test_a_change_replaces_what_it_gives_and_nothing_else() -> None:
    product = lamp(category="Light", barcode="400", images=["https://x/y.png"])
    after = changed(product, ProductChanges(name="Lamp 2", category=None), LATER)
    assert (after.name, after.category, after.barcode) == ("Lamp 2", None, "400")
    assert (after.version, after.updated_at, after.created_at) == (2, LATER, NOW)
    assert differing(product, after) == ["category", "name"]
    dearer = changed(product, ProductChanges(price=3, currency="EUR"), LATER)
    assert (dearer.price_minor, dearer.currency) == (300, "EUR")
    assert differing(product, dearer) == ["currency", "price"]


def test_a_change_that_changes_nothing_keeps_the_version() -> None:
    product = lamp(category="Light")
    assert changed(product, ProductChanges(), LATER) is product
    same = ProductChanges(name="Lamp", price=Decimal("2.550"), category="Light", currency="GBP")
    assert changed(product, same, LATER) is product


def test_a_new_currency_needs_a_price() -> None:
    with pytest.raises(ValidationFailed) as refused:
        changed(lamp(), ProductChanges(currency="EUR"), LATER)
    assert refused.value.errors[0].field == "price"


def test_a_product_is_shown_with_an_exact_price() -> None:
    view = ProductOut.of(lamp(price=Decimal("99999999999.99"))).model_dump_json(by_alias=True)
    assert '"price":99999999999.99,' in view


def placed(
    *rows: dict[str, Any], products: list[Product] | None = None, **barcodes: UUID
) -> list[Outcome]:
    shelf = Shelf({p.sku: p for p in products or []}, barcodes=dict(barcodes))
    author = Author(AUTHOR.tenant_id, AUTHOR.user_id, LATER, "GBP")
    return [
        shelf.pass_over(number, row)
        if isinstance(row, Outcome)
        else shelf.place(number, row, author)
        for number, row in enumerate(read_rows(rows, TaxClasses({})))
    ]


def row(sku: str, **fields: Any) -> dict[str, Any]:
    return {"sku": sku, "name": "Lamp", "price": Decimal("2.55"), **fields}


def test_each_row_of_an_import_has_its_own_outcome() -> None:
    kept, old = lamp(sku="K", category="Light"), lamp(sku="O")
    outcomes = placed(
        row("N", category="New"),
        row("K"),
        row("O", price=3),
        row("B", price=Decimal("1.001")),
        {"name": "no sku", "price": 1},
        row("X", wrong=1),
        products=[kept, old],
    )
    assert [o.status for o in outcomes] == [
        "created", "unchanged", "updated", "rejected", "rejected", "rejected"
    ]  # fmt: skip
    assert [o.errors[0].field for o in outcomes[3:]] == ["price", "sku", "wrong"]
    updated = outcomes[2].item
    assert isinstance(updated, Product)
    assert (updated.id, updated.version, updated.price_minor) == (old.id, 2, 300)


def test_an_import_refuses_what_is_taken() -> None:
    own = lamp(sku="D", barcode="8")
    outcomes = placed(
        row("A", barcode="1"),
        row("A", barcode="2"),
        row("B", barcode="1"),
        row("C", barcode="9"),
        row("D", barcode="8"),
        products=[own],
        **{"9": uuid7(), "8": own.id},
    )
    assert [o.status for o in outcomes] == [
        "created", "rejected", "rejected", "rejected", "unchanged"
    ]  # fmt: skip
    assert [o.errors[0].field for o in outcomes[1:4]] == ["sku", "barcode", "barcode"]


def test_a_bad_first_row_of_a_sku_and_its_duplicate_are_both_refused() -> None:
    outcomes = placed(row("A", price=-1), row("A"), row("B", price=Decimal("1.001")), row("B"))
    assert [o.status for o in outcomes] == ["rejected"] * 4
    assert [o.errors[0].field for o in outcomes] == ["price", "sku", "price", "sku"]


@pytest.mark.parametrize("name", ["sku", "barcode"])
@pytest.mark.parametrize("code", ["8.90123E+12", "8,90123e+12", "9E+12"])
def test_a_code_that_a_spreadsheet_rounded_is_refused(name: str, code: str) -> None:
    [outcome] = placed(row("A") | {name: code})
    assert (outcome.status, outcome.errors[0].field) == ("rejected", name)
    assert placed(row("A") | {name: "1E5-BLUE"})[0].status == "created"


def test_import_rows_take_exactly_what_they_declare() -> None:
    given = ProductRow.model_validate(row("A", images=["http://x"]))
    assert given.model_fields_set == {"sku", "name", "price", "images"}


@pytest.mark.parametrize(
    ("role", "scopes", "sees"),
    [
        (Role.MANAGER, set(), True),
        (Role.STAFF, set(), False),
        (Role.SERVICE, {"catalog:read"}, True),
        (Role.SERVICE, {"catalog:write"}, True),
        (Role.SERVICE, {"inventory:write"}, False),
        # A person's key: what the person may, within its scopes.
        (Role.MANAGER, {"*"}, True),
        (Role.MANAGER, {"inventory:write"}, False),
        (Role.STAFF, {"*"}, False),
    ],
)
def test_who_sees_costs(role: Role, scopes: set[str], sees: bool) -> None:
    mine, theirs = uuid7(), uuid7()
    caller = Principal(str(uuid7()), role, mine, scopes=frozenset(scopes))
    assert sees_costs(caller, mine) is sees
    assert not sees_costs(caller, theirs)


def test_twins_of_an_earlier_build_stay_each_of_them() -> None:
    there = ["Toys", "toys", "Toys > Cars"]
    assert as_written(["toys", "Toys", "TOYS > cars", "toys > Cars", "toys > New"], there) == {
        "toys": "toys",
        "Toys": "Toys",
        "TOYS": "Toys",
        "TOYS > cars": "Toys > Cars",
        "toys > Cars": "Toys > Cars",
        "toys > New": "toys > New",
    }
