"""Products in the real Postgres: the wall between tenants, uniqueness, search, events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict
from core.ids import uuid7
from core.paging import Span
from core.settings import Settings
from deployments.catalog.categories import service as categories
from store.catalog import bundles, items, search
from store.catalog import categories as catalog_categories
from store.catalog import products as catalog
from store.catalog.bundles import ItemOwner
from store.catalog.products import Product, products
from store.catalog.search import Filters
from store.hosts.tables import outbox as outbox_table
from store.kit import outbox, paging
from store.kit.engine import PUBLIC, Database, Scope
from tests.store.events import ThingMade

_NEW_BUSINESS = text("INSERT INTO businesses (id, name, currency) VALUES (:id, 'Shop', 'GBP')")
_MANY_CATEGORIES = text("""
INSERT INTO categories (id, tenant_id, name, slug, path, position, created_at, updated_at)
SELECT uuidv7(), :tenant, 'C' || i, 'c' || i, 'C' || i, i, now(), now()
FROM generate_series(0, 99) AS i
""")
_MANY_PRODUCTS = text("""
INSERT INTO products (id, tenant_id, created_by, name, description, price_minor, price_e4,
  currency, category, images, sku, version, created_at, updated_at)
SELECT uuidv7(), :tenant, uuidv7(), 'N' || i, '', i, i * 100,
  'GBP', 'C' || (i % 100), '[]', 'many-' || i, 1, now() + i * interval '1 s', now()
FROM generate_series(1, 5000) AS i
""")
_OF_NO_PRODUCT = text("""
INSERT INTO item_prices (item_id, currency, tenant_id, price_minor, price_e4)
SELECT uuidv7(), :currency, :tenant, i, i * 10000 FROM generate_series(1, 11) AS i
""")
_WALKS = {
    "price_e4 BETWEEN 1 AND 900 ORDER BY price_e4, id": "ix_products_price",
    "category = 'C7' ORDER BY created_at DESC, id DESC": "ix_products_category_newest",
    "sku = 'many-77' ORDER BY created_at DESC, id DESC": "uq_products_sku",
    "true ORDER BY created_at DESC, id DESC": "ix_products_newest",
    "true ORDER BY name, id": "ix_products_name",
}


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url, pool_size=4)
    yield database
    await database.close()


async def new_tenant(db: Database) -> UUID:
    tenant = uuid7()
    async with db.transaction(Scope(tenant)) as tx:
        await tx.execute(_NEW_BUSINESS, {"id": tenant})
    return tenant


def product(tenant: UUID, sku: str, **changes: object) -> Product:
    now = datetime.now(UTC)
    made = Product(
        id=uuid7(),
        tenant_id=tenant,
        created_by=uuid7(),
        name=f"Thing {sku}",
        description="",
        price_minor=100,
        currency="GBP",
        category=None,
        images=[],
        sku=sku,
        barcode=None,
        version=1,
        created_at=now,
        updated_at=now,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def saved(db: Database, tenant: UUID, *new: Product) -> None:
    async with db.transaction(Scope(tenant)) as tx:
        paths = [made.category for made in new]
        await categories.ensure(tx, tenant, paths, datetime.now(UTC))
        await catalog.add(tx, new)


async def found(tx: AsyncConnection, sort: str = "createdAt", **filters: object) -> list[str]:
    chosen = Filters(**filters)  # type: ignore[arg-type]
    page = await search.search(tx, chosen, sort, Span(1, 100))
    return [item.sku for item in page.items]


async def owners(db: Database, scope: Scope, *item_ids: UUID) -> dict[UUID, ItemOwner]:
    async with db.lookup(scope) as lookup:
        return await bundles.owners_of(lookup, item_ids)


async def test_app_role_without_scope_sees_and_writes_nothing(db: Database) -> None:
    tenant = await new_tenant(db)
    mine = product(tenant, "A")
    await saved(db, tenant, mine)
    async with db.transaction(Scope()) as tx:
        assert (await tx.execute(select(func.count()).select_from(products))).scalar_one() == 0
        assert await catalog.get(tx, mine.id) is None
        assert await catalog.vendor_of(tx, mine.id) is None
        assert await found(tx, words="Thing") == []
        hidden = "SELECT search_products(to_tsquery('simple', 'thing'), NULL, 10)"
        assert (await tx.execute(text(hidden))).all() == []
    assert await owners(db, Scope(), mine.id) == {}
    with pytest.raises(DBAPIError, match="row-level security"):
        async with db.transaction(Scope()) as tx:
            await catalog.add(tx, [product(tenant, "B")])


async def test_public_sees_only_what_is_not_deleted_and_changes_nothing(db: Database) -> None:
    tenant = await new_tenant(db)
    kept, gone = product(tenant, "KEPT"), product(tenant, "GONE")
    await saved(db, tenant, kept, gone)
    async with db.transaction(Scope(tenant)) as tx:
        await catalog.remove(tx, gone.id, datetime.now(UTC))
    async with db.transaction(PUBLIC) as tx:
        assert await found(tx, tenant_id=tenant) == ["KEPT"]
        assert await found(tx, tenant_id=tenant, words="thing") == ["KEPT"]
        assert await catalog.vendor_of(tx, gone.id) == tenant
        statement = select(products.c.id).where(products.c.id == gone.id)
        assert (await tx.execute(statement)).all() == []
        await catalog.replace(tx, [replace(kept, name="Taken over")])
    async with db.transaction(Scope(tenant)) as tx:
        assert (await catalog.get_many(tx, [kept.id, gone.id])) == {kept.id: kept}
    assert await owners(db, PUBLIC, kept.id, gone.id) == {kept.id: (tenant, "simple", 0)}
    assert len(await owners(db, Scope(tenant), kept.id, gone.id)) == 2
    assert await owners(db, Scope(await new_tenant(db)), kept.id, gone.id) == {}


@pytest.mark.parametrize("examined", [2, 1_000])
async def test_prices_in_a_currency_are_one_list(
    db: Database, examined: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Own prices and further ones, with those of what is not shown between them."""
    monkeypatch.setattr(paging, "MAX_EXAMINED", examined)
    tenant = await new_tenant(db)
    currency = "XPF" if examined == 2 else "XOF"
    shown = [
        product(tenant, f"OWN-{n}", currency=currency, price_minor=n)
        if n % 3 == 0
        else product(tenant, f"FURTHER-{n}", prices={currency: n - n % 2})
        for n in range(1, 12)
    ]
    hidden = [product(tenant, f"GONE-{n}", prices={currency: n}) for n in range(1, 12, 2)]
    await saved(db, tenant, product(tenant, "NONE"), *shown, *hidden)
    async with db.transaction(Scope(tenant)) as tx:
        for gone in hidden:
            await catalog.remove(tx, gone.id, datetime.now(UTC))
        await tx.execute(_OF_NO_PRODUCT, {"tenant": tenant, "currency": currency})
    prices = {made.id: made.prices.get(currency, made.price_minor) for made in shown}
    expected = [made.id for made in sorted(shown, key=lambda made: (prices[made.id], made.id))]
    for vendor in (tenant, None):
        filters = Filters(tenant_id=vendor, currency=currency, min_price_e4=20_000)
        for sort, ids in (("price", expected), ("-price", expected[::-1])):
            found: list[UUID] = []
            span = Span(1, 3)
            while True:
                async with db.transaction(PUBLIC) as tx:
                    part = await search.search(tx, filters, sort, span)
                found += [item.id for item in part.items]
                if part.next_cursor is None:
                    break
                span = Span(1, 3, part.next_cursor)
            assert found == [product_id for product_id in ids if prices[product_id] >= 2], (
                vendor,
                sort,
            )


async def test_tenants_are_walls(db: Database) -> None:
    mine, theirs = await new_tenant(db), await new_tenant(db)
    secret = product(theirs, "X")
    await saved(db, theirs, secret)
    async with db.transaction(Scope(mine)) as tx:
        assert await catalog.get(tx, secret.id) is None
        assert await found(tx, words="thing", tenant_id=theirs) == []
        await catalog.replace(tx, [replace(secret, name="Mine now")])
        await catalog.remove(tx, secret.id, datetime.now(UTC))
    for stolen in (product(theirs, "Y"), product(theirs, "Z")):
        with pytest.raises(DBAPIError, match="row-level security"):
            await saved(db, mine, stolen)
    async with db.transaction(PUBLIC) as tx:
        assert await catalog.get(tx, secret.id) == secret


async def test_skus_and_barcodes_are_unique_among_the_living_of_one_tenant(db: Database) -> None:
    tenant, other = await new_tenant(db), await new_tenant(db)
    first = product(tenant, "S", barcode="400")
    await saved(db, tenant, first)
    await saved(db, other, product(other, "S", barcode="400"))
    with pytest.raises(Conflict) as taken:
        await saved(db, tenant, product(tenant, "S"))
    assert taken.value.errors[0].field == "sku"
    with pytest.raises(Conflict) as taken:
        await saved(db, tenant, product(tenant, "T", barcode="400"))
    assert taken.value.errors[0].field == "barcode"
    async with db.transaction(Scope(tenant)) as tx:
        await catalog.remove(tx, first.id, datetime.now(UTC))
    await saved(db, tenant, product(tenant, "S", barcode="400"))
    async with db.transaction(Scope(tenant)) as tx:
        assert list(await catalog.by_skus(tx, tenant, ["S", "T"])) == ["S"]
        owners = await items.code_owners(tx, tenant, "barcode", ["400", "401"])
        assert list(owners) == ["400"]
        assert (await catalog.get_many(tx, owners.values())).keys() == set(owners.values())


@pytest.mark.parametrize(
    ("words", "skus"),
    [
        ("lantern", ["71053"]),
        ("META lant", ["71053"]),
        ("t-light", ["85123A"]),
        ("8512", ["85123A"]),
        ("set/6", ["22086"]),
        ("kitchen", ["22086", "71053"]),
        ("o'clock", []),
        ("' | ! & \\ :* (", []),
        ("nothing like it", []),
    ],
)
async def test_words_are_found_from_their_beginning(
    db: Database, words: str, skus: list[str]
) -> None:
    tenant = await new_tenant(db)
    await saved(
        db,
        tenant,
        product(tenant, "85123A", name="WHITE HANGING HEART T-LIGHT HOLDER"),
        product(tenant, "71053", name="WHITE METAL LANTERN", category="Kitchen"),
        product(tenant, "22086", name="SET/6 RED SPOTTY PAPER PLATES", category="Kitchenware"),
    )
    async with db.transaction(PUBLIC) as tx:
        assert sorted(await found(tx, words=words, tenant_id=tenant)) == skus


async def test_lists_filter_sort_and_page(db: Database) -> None:
    tenant = await new_tenant(db)
    await saved(
        db,
        tenant,
        product(tenant, "A", price_minor=250, name="b", category="Toys"),
        product(tenant, "B", price_minor=9, currency="JPY", name="a", category="Toys"),
        product(tenant, "C", price_minor=2501, currency="KWD", name="c", barcode="77"),
    )
    async with db.transaction(PUBLIC) as tx:
        mine = {"tenant_id": tenant}
        assert await found(tx, "price", **mine) == ["A", "C", "B"]
        assert await found(tx, "-name", **mine) == ["C", "A", "B"]
        assert await found(tx, "createdAt", **mine) == ["A", "B", "C"]
        assert await found(tx, category="Toys", **mine) == ["A", "B"]
        assert await found(tx, currency="JPY", **mine) == ["B"]
        assert await found(tx, min_price_e4=25_001, **mine) == ["B", "C"]
        assert await found(tx, max_price_e4=25_000, **mine) == ["A"]
        assert await found(tx, barcode="77", **mine) == ["C"]
        assert await found(tx, sku="A", **mine) == ["A"]
        for number, length in ((1, 2), (2, 1), (3, 0)):
            page = await search.search(tx, Filters(tenant_id=tenant), "name", Span(number, 2))
            assert (len(page.items), page.total) == (length, 3)
        assert await catalog_categories.in_use(tx, tenant) == [("Toys", 2)]


async def test_public_lists_walk_an_index(embedded: Settings) -> None:
    """Row-level security must not cost the lists their indexes; rolled back at the end."""
    owner = Database(embedded.owner_database_url, pool_size=1)
    async with owner.transaction(PUBLIC) as tx:
        tenant = uuid7()
        await tx.execute(_NEW_BUSINESS, {"id": tenant})
        await tx.execute(_MANY_CATEGORIES, {"tenant": tenant})
        await tx.execute(_MANY_PRODUCTS, {"tenant": tenant})
        await tx.execute(text("ANALYZE products"))
        await tx.execute(text("SET LOCAL ROLE holdfast_app"))
        for condition, index in _WALKS.items():
            sql = f"EXPLAIN SELECT * FROM products WHERE deleted_at IS NULL AND {condition}"
            plan = "\n".join((await tx.execute(text(f"{sql} LIMIT 9"))).scalars())
            assert index in plan, plan
        await tx.rollback()
    await owner.close()


async def test_a_tenants_writers_take_turns(db: Database) -> None:
    tenant = await new_tenant(db)
    order: list[str] = []

    async def write(name: str) -> None:
        async with db.transaction(Scope(tenant)) as tx:
            await catalog.lock_catalog(tx, tenant)
            order.append(f"{name} in")
            await asyncio.sleep(0.05)
            order.append(f"{name} out")

    await asyncio.gather(*(write(name) for name in "abc"))
    assert all(order[i][0] == order[i + 1][0] for i in (0, 2, 4)), order


async def test_an_event_is_written_with_its_cause_or_not_at_all(db: Database) -> None:
    tenant = await new_tenant(db)
    kept = product(tenant, "E")
    async with db.transaction(Scope(tenant)) as tx:
        await outbox.emit(tx, tenant, kept.id, ThingMade(name="c"))
        await tx.rollback()
    async with db.transaction(Scope(tenant)) as tx:
        await catalog.add(tx, [kept])
        await outbox.emit_all(tx, tenant, [(kept.id, ThingMade(name=name)) for name in "ab"])
    async with db.transaction(Scope(tenant)) as tx:
        rows = (await tx.execute(select(outbox_table).order_by(outbox_table.c.id))).all()
        assert [(r.subject, r.type, r.data) for r in rows] == [
            (str(kept.id), "test.thing.made.v1", {"name": "a"}),
            (str(kept.id), "test.thing.made.v1", {"name": "b"}),
        ]
        assert rows[0].published_at is None
    with pytest.raises(DBAPIError, match="row-level security"):
        async with db.transaction(Scope(await new_tenant(db))) as tx:
            await outbox.emit(tx, tenant, kept.id, ThingMade(name="forged"))
