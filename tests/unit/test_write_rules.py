"""A package of the store that writes another's table is found."""

from __future__ import annotations

import pytest

from store.catalog import products
from store.inventory import suppliers
from store.kit.write_rules import breaks, written

OWNERS = {"products": "catalog", "suppliers": "inventory"}
NAMES = {"products": products.products, "suppliers": suppliers}


def test_ours_write_their_own() -> None:
    assert list(breaks()) == []


@pytest.mark.parametrize(
    ("source", "table"),
    [
        ("insert(products).values(name='tea')", "products"),
        ("update(suppliers.suppliers)", "suppliers"),
        ("sa.delete(products)", "products"),
        ("text('DELETE FROM suppliers WHERE id = :id')", "suppliers"),
        ("text('UPDATE products SET name = :name')", "products"),
        ("f'INSERT  INTO products {columns}'", "products"),
    ],
)
def test_a_write_is_seen(source: str, table: str) -> None:
    assert [found for _, found in written(source, NAMES, OWNERS)] == [table]


@pytest.mark.parametrize(
    "source", ["select(products)", "text('SELECT id FROM products FOR UPDATE')", "insert(others)"]
)
def test_a_read_is_none(source: str) -> None:
    assert list(written(source, NAMES, OWNERS)) == []


def test_it_is_told_who_owns_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.kit.write_rules._owners", lambda modules: {"products": "people"})
    name, text = next(breaks())
    assert name.startswith("store.catalog.")
    assert name.endswith(": products")
    assert text.startswith("writes a table of store.people: call a function of that package")
