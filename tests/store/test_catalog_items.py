"""Variants, codes, prices, costs, categories and bundles in the real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.errors import Conflict
from core.ids import uuid7
from core.settings import Settings
from deployments.catalog.categories.rules import planted
from deployments.inventory.stock import bundles
from store.catalog import bundles as catalog_bundles
from store.catalog import categories, products, variants
from store.catalog.bundles import Component
from store.catalog.categories import MAX_DEPTH, Category
from store.catalog.variants import Variant
from store.kit.engine import PUBLIC, Database, Scope
from tests.store.test_catalog import new_tenant, product, saved


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url, pool_size=4)
    yield database
    await database.close()


def variant(of: products.Product, sku: str, **changes: Any) -> Variant:
    made = Variant(
        id=uuid7(),
        tenant_id=of.tenant_id,
        product_id=of.id,
        options={"size": sku},
        sku=sku,
        barcode=None,
        price_minor=None,
        tax_class_id=None,
        images=[],
        image_alts={},
        position=0,
        version=1,
        created_at=of.created_at,
        updated_at=of.updated_at,
    )
    return replace(made, **changes)


async def kept(db: Database, tenant: UUID, *new: Variant) -> None:
    async with db.transaction(Scope(tenant)) as tx:
        await variants.add(tx, new)


async def test_a_code_is_unique_over_products_and_variants(db: Database) -> None:
    tenant, other = await new_tenant(db), await new_tenant(db)
    shirt, cap = product(tenant, "SHIRT"), product(tenant, "CAP", barcode="1")
    await saved(db, tenant, shirt, cap)
    await kept(db, tenant, variant(shirt, "M", barcode="2"))
    for made, field in (
        (variant(shirt, "CAP"), "sku"),
        (variant(shirt, "L", barcode="1"), "barcode"),
        (variant(shirt, "X", options={"size": "M"}), "options"),
    ):
        with pytest.raises(Conflict) as taken:
            await kept(db, tenant, made)
        assert taken.value.errors[0].field == field
    for sku, barcode, field in (("M", None, "sku"), ("N", "2", "barcode")):
        with pytest.raises(Conflict) as taken:
            await saved(db, tenant, product(tenant, sku, barcode=barcode))
        assert taken.value.errors[0].field == field
    await saved(db, other, product(other, "M", barcode="2"))
    async with db.transaction(Scope(tenant)) as tx:
        (gone,) = (await variants.of_products(tx, [shirt.id]))[shirt.id]
        await variants.remove(tx, [gone.id], datetime.now(UTC))
    await saved(db, tenant, product(tenant, "M", barcode="2"))


async def test_a_code_is_unique_also_without_the_lock(db: Database) -> None:
    """Two writers that look at nothing: the database lets one of them through."""
    tenant = await new_tenant(db)
    shirt = product(tenant, "SHIRT")
    await saved(db, tenant, shirt)
    for round_ in range(10):
        sku = f"S{round_}"
        results = await asyncio.gather(
            saved(db, tenant, product(tenant, sku)),
            kept(db, tenant, variant(shirt, sku)),
            return_exceptions=True,
        )
        assert sorted(type(result) for result in results if result) == [Conflict], results


async def test_what_a_thing_costs_is_its_business_own(db: Database) -> None:
    tenant, other = await new_tenant(db), await new_tenant(db)
    lamp = product(tenant, "L", cost_minor=42, prices={"EUR": 120, "JPY": 7})
    await saved(db, tenant, lamp)
    await kept(db, tenant, variant(lamp, "M", cost_minor=43, prices={"EUR": 130}))
    async with db.transaction(Scope(tenant)) as tx:
        assert await products.get(tx, lamp.id) == lamp
        (one,) = (await variants.of_products(tx, [lamp.id]))[lamp.id]
        assert (one.cost_minor, one.prices) == (43, {"EUR": 130})
    async with db.transaction(PUBLIC) as tx:
        assert await products.get(tx, lamp.id) == replace(lamp, cost_minor=None)
        (one,) = (await variants.of_products(tx, [lamp.id]))[lamp.id]
        assert (one.cost_minor, one.prices) == (None, {"EUR": 130})
        assert (await tx.execute(text("SELECT * FROM item_costs"))).all() == []
    async with db.transaction(Scope(other)) as tx:
        assert await products.get(tx, lamp.id) is None
    async with db.transaction(Scope(tenant)) as tx:
        await products.replace(tx, [replace(lamp, cost_minor=None, prices={"EUR": 99})])
        after = await products.get(tx, lamp.id)
        assert after is not None
        assert (after.cost_minor, after.prices) == (None, {"EUR": 99})


async def test_an_item_as_a_till_takes_it(db: Database) -> None:
    tenant = await new_tenant(db)
    shirt = product(tenant, "SHIRT", prices={"EUR": 120})
    pen = product(tenant, "PEN", barcode="77", name="Pen")
    gift = product(tenant, "GIFT", kind="bundle")
    await saved(db, tenant, shirt, pen, gift)
    medium = variant(shirt, "M", barcode="78", options={"size": "M", "colour": "red"})
    large = variant(shirt, "L", price_minor=150, options={"size": "L", "colour": "red"})
    await kept(db, tenant, medium, large)
    parts = (Component(pen.id, 2), Component(large.id, 1))
    async with db.transaction(Scope(tenant)) as tx:
        await catalog_bundles.put_components(tx, tenant, {gift.id: parts})
    async with db.lookup(Scope(tenant)) as lookup:
        items = await catalog_bundles.sale_items(
            lookup, [shirt.id, gift.id], ["M", "L", "none"], ["77", "78"], currency="EUR"
        )
        by_sku = {item.sku: item for item in items}
        assert len(items) == 5
        assert {sku: item.kind for sku, item in by_sku.items()} == {
            "SHIRT": "parent", "GIFT": "bundle", "M": "variant", "L": "variant", "PEN": "simple"
        }  # fmt: skip
        assert by_sku["GIFT"].components == parts
        assert by_sku["M"].name in ("Thing SHIRT (M, red)", "Thing SHIRT (red, M)")
        assert (by_sku["M"].variant_id, by_sku["M"].product_id) == (medium.id, shirt.id)
        prices = {sku: (item.price_minor, item.currency) for sku, item in by_sku.items()}
        # The large has a price of its own, so the shirt's in euro is not its.
        assert (prices["M"], prices["L"]) == ((120, "EUR"), (150, "GBP"))
        (plain,) = await catalog_bundles.sale_items(lookup, barcodes=["78"])
        assert (plain.price_minor, plain.currency) == (100, "GBP")
        whose = await catalog_bundles.owners_of(lookup, [shirt.id, gift.id, medium.id, pen.id])
    async with db.transaction(Scope(tenant)) as tx:
        lines = [(gift.id, 3), (pen.id, 1)]
        expanded, measures = await bundles.expanded(tx, lines, {})
        assert dict(expanded) == {pen.id: 7, large.id: 3}
        assert measures == ()
        with pytest.raises(Conflict, match="has variants"):
            await bundles.expanded(tx, [(shirt.id, 1)], {})
        assert bundles.available(parts, {pen.id: 9, large.id: 3}) == 3
    kinds = {shirt.id: "parent", gift.id: "bundle", medium.id: "variant", pen.id: "simple"}
    assert whose == {item: (tenant, kind, 0) for item, kind in kinds.items()}
    async with db.lookup(Scope(await new_tenant(db))) as lookup:
        assert await catalog_bundles.sale_items(lookup, [pen.id], ["PEN"], ["77"]) == []


async def test_the_database_itself_refuses_a_cycle(db: Database) -> None:
    tenant = await new_tenant(db)
    now = datetime.now(UTC)
    made = planted(["A", "A > B", "A > B > C"], {}, (), tenant, now)
    async with db.transaction(Scope(tenant)) as tx:
        await categories.add(tx, made)
    move = text("UPDATE categories SET parent_id = :to, parent_depth = :depth WHERE id = :id")
    for to in made[1:]:
        with pytest.raises(IntegrityError):
            async with db.transaction(Scope(tenant)) as tx:
                await tx.execute(move, {"to": to.id, "depth": to.depth, "id": made[0].id})
    async with db.transaction(Scope(tenant)) as tx:
        top = planted(["D"], {}, (), tenant, now)
        await categories.add(tx, top)
        await tx.execute(move, {"to": top[0].id, "depth": 1, "id": made[0].id})
        after = [await categories.get(tx, category.id) for category in made]
        assert [category.depth for category in after if category] == [2, 3, 4]
        deep = planted(
            ["A > B > C > E"], {"A > B > C": replace(made[2], depth=MAX_DEPTH - 1)}, (), tenant, now
        )
        await categories.add(tx, deep)
        with pytest.raises(IntegrityError):
            await tx.execute(move, {"to": made[0].id, "depth": 2, "id": top[0].id})


async def test_a_renaming_reaches_what_is_below_and_the_products(db: Database) -> None:
    tenant, other = await new_tenant(db), await new_tenant(db)
    for owner in (tenant, other):
        await saved(
            db,
            owner,
            product(owner, "A", category="Toys"),
            product(owner, "B", category="Toys > Cars"),
            product(owner, "C", category="Toys > Cars > Red"),
            product(owner, "D", category="Toys2"),
        )
    async with db.transaction(Scope(tenant)) as tx:
        before = (await categories.by_paths(tx, tenant, ["Toys > Cars"]))["Toys > Cars"]
        after = replace(before, name="Autos", path="Toys > Autos")
        await categories.change(tx, before, after)
        # It is one statement for however many products, and is given the time for it.
        limit = (await tx.execute(text("SHOW statement_timeout"))).scalar_one()
        assert limit == f"{categories.RENAMING_TIMEOUT_MS // 1000}s"
    for owner, named in ((tenant, "Autos"), (other, "Cars")):
        async with db.transaction(Scope(owner)) as tx:
            found = await products.by_skus(tx, owner, "ABCD")
            assert [found[sku].category for sku in "ABCD"] == [
                "Toys", f"Toys > {named}", f"Toys > {named} > Red", "Toys2"
            ]  # fmt: skip
            under = await categories.paths_under(tx, "Toys", owner)
            assert sorted(under) == ["Toys", f"Toys > {named}", f"Toys > {named} > Red"]


async def test_a_tenant_plants_nothing_below_anothers_category(db: Database) -> None:
    mine, theirs = await new_tenant(db), await new_tenant(db)
    now = datetime.now(UTC)
    (foreign,) = planted(["X"], {}, (), theirs, now)
    async with db.transaction(Scope(theirs)) as tx:
        await categories.add(tx, [foreign])
    stolen: list[Category] = planted(["X > Y"], {"X": foreign}, (), mine, now)
    with pytest.raises(DBAPIError, match="fk_categories_parent"):
        async with db.transaction(Scope(mine)) as tx:
            await categories.add(tx, stolen)
