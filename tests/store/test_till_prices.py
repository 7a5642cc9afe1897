"""The one round trip that prices a basket tells what its three queries tell, and nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from core.errors import Unavailable
from core.ids import uuid7
from store.business import profile
from store.business.locations import locations
from store.business.taxes import tax_classes, tax_rates
from store.catalog import bundles
from store.catalog.bundles import Component
from store.kit.engine import Database, Scope
from store.pos.till_prices import TillPrices, till_prices
from tests.store.test_business import add
from tests.store.test_catalog_items import db, kept, product, saved, variant

__all__ = ["db"]
NOW = datetime.now(UTC)
LONG_AGO, SOON = NOW - timedelta(days=900), NOW + timedelta(days=1)


async def by_steps(db: Database, tenant: UUID, place: UUID, *names: Any) -> TillPrices | None:
    """The same in a transaction, as others ask for it."""
    async with db.lookup(Scope(tenant)) as lookup:
        terms = await profile.till_terms(lookup, place)
        if terms is None:
            return None
        items = await bundles.sale_items(lookup, *names, currency=terms.currency)
    return TillPrices(terms, items)


def in_order(found: TillPrices | None) -> Any:
    return found and (found.terms, sorted(found.items, key=lambda item: item.item_id))


async def opened(db: Database) -> UUID:
    """A business that has a main location, and takes pounds there."""
    tenant = uuid7()
    async with db.transaction(Scope(tenant)) as tx:
        await profile.open_business(tx, tenant, "Ann's", "GBP", "Europe/London")
    return tenant


@pytest.fixture
async def goods(db: Database) -> tuple[UUID, UUID, list[Any]]:
    """A business, its branch that takes euro, and the names of its goods, of strange ones too."""
    tenant, other = await opened(db), await opened(db)
    branch = await add(db, tenant, locations, name="Branch", time_zone="UTC", currency="EUR")
    food = await add(db, tenant, tax_classes, name="Food", is_default=True)
    toys = await add(db, tenant, tax_classes, name="Toys")
    for klass, ppm, rest in (
        (food, 200_000, {}),
        (food, 50_000, {"location_id": branch}),
        (food, 60_000, {"location_id": branch, "valid_from": SOON}),
        (toys, 70_000, {}),
    ):
        row = {"name": f"{ppm}", "valid_from": LONG_AGO, "rate_ppm": ppm} | rest
        await add(db, tenant, tax_rates, tax_class_id=klass, **row)
    shirt = product(tenant, "SHIRT", prices={"EUR": 120}, tax_class_id=toys)
    pen = product(tenant, "PEN", barcode="77", name='Pen "quoted" \\ caf\u00e9')
    gift = product(tenant, "GIFT", kind="bundle")
    gone = product(tenant, "GONE")
    theirs = product(other, "PEN", barcode="77")
    await saved(db, tenant, shirt, pen, gift, gone)
    await saved(db, other, theirs)
    medium = variant(shirt, "M", barcode="78", options={"size": "M", "colour": "red"})
    large = variant(shirt, "L", price_minor=150, options={})
    await kept(db, tenant, medium, large)
    async with db.transaction(Scope(tenant)) as tx:
        deleted = text("UPDATE products SET deleted_at = now() WHERE id = :id")
        await tx.execute(deleted, {"id": gone.id})
        parts = (Component(pen.id, 2), Component(large.id, 1))
        await bundles.put_components(tx, tenant, {gift.id: parts})
    ids = [shirt.id, gift.id, large.id, theirs.id, gone.id, uuid7()]
    return tenant, branch, [ids, ["M", "PEN", "none"], ["77", "78", ""]]


async def test_one_trip_tells_what_three_queries_tell(
    db: Database, goods: tuple[UUID, UUID, list[Any]]
) -> None:
    tenant, branch, names = goods
    for place in (tenant, branch):
        found = await till_prices(db, tenant, place, *names)
        assert found is not None
        assert {item.sku for item in found.items} == {"SHIRT", "GIFT", "L", "M", "PEN"}
        assert in_order(found) == in_order(await by_steps(db, tenant, place, *names))
    assert found.terms.rate(None).rate_ppm == 50_000
    nothing = await till_prices(db, tenant, tenant)
    assert nothing is not None
    assert nothing.items == []


async def test_nobody_sees_what_is_another_s(
    db: Database, goods: tuple[UUID, UUID, list[Any]]
) -> None:
    tenant, branch, names = goods
    stranger = await opened(db)
    assert await till_prices(db, stranger, branch, *names) is None
    assert await till_prices(db, tenant, uuid7(), *names) is None
    found = await till_prices(db, stranger, stranger, *names)
    assert found is not None
    assert found.items == []
    assert found.terms.rates == {}


async def test_the_scope_ends_with_the_call(
    db: Database, goods: tuple[UUID, UUID, list[Any]]
) -> None:
    tenant, branch, names = goods
    seen = "SELECT current_setting('holdfast.tenant_id', true), count(*) FROM products"
    for _ in range(8):  # more than there are connections
        await till_prices(db, tenant, branch, *names)
        assert tuple(await db.look_up(seen) or ()) == ("", 0)


async def test_nothing_can_be_written_beside_it(
    db: Database, goods: tuple[UUID, UUID, list[Any]]
) -> None:
    tenant, branch, _ = goods
    async with db.transaction(Scope(tenant)) as tx:
        await tx.execute(
            text("SELECT till_prices(:t, :b, '{}', '{}', '{}')"), {"t": tenant, "b": branch}
        )
        with pytest.raises(Exception, match="read-only"):
            await tx.execute(text("UPDATE businesses SET name = 'x'"))


async def test_it_raises_as_a_transaction_does(db: Database) -> None:
    with pytest.raises(Unavailable):
        await db.look_up("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(asyncpg.UndefinedTableError):
        await db.look_up("SELECT * FROM nothing_of_that_name")
    assert await db.look_up("SELECT 1") is not None
