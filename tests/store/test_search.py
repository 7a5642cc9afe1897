"""Searching products in the real Postgres: what people type finds what they mean, best first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.ids import uuid7
from core.paging import Span
from core.settings import Settings
from deployments.catalog.categories import service as categories
from deployments.catalog.search_upkeep import round_of_upkeep
from store.catalog import products as catalog
from store.catalog import ranking, search, variants
from store.catalog.products import Product
from store.catalog.search import Filters
from store.catalog.variants import Variant
from store.kit.engine import PUBLIC, Database, Scope
from tests.store.test_catalog import new_tenant, product

_OF_EARLIER_BUILD = text("UPDATE product_words SET words = NULL, head = NULL, is_due = true")


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url, pool_size=2)
    yield database
    await database.close()


async def shop_with(db: Database, *names: str, **fields: Any) -> UUID:
    """A business with products that are called so, whose SKUs are A0, A1..."""
    tenant = await new_tenant(db)
    await stock(db, (product(tenant, f"A{n}", name=name, **fields) for n, name in enumerate(names)))
    return tenant


async def stock(db: Database, made: Iterable[Product]) -> None:
    made = list(made)
    tenant = made[0].tenant_id
    async with db.transaction(Scope(tenant)) as tx:
        await categories.ensure(tx, tenant, [each.category for each in made], datetime.now(UTC))
        await catalog.add(tx, made)


async def names_of(db: Database, tenant: UUID | None, words: str, **fields: Any) -> list[str]:
    sort = fields.pop("sort", "relevance")
    async with db.transaction(PUBLIC) as tx:
        filters = Filters(tenant_id=tenant, words=words, **fields)
        part = await search.search(tx, filters, sort, Span(1, 100))
    return [item.name for item in part.items]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("“Assam” Tea", ["assam", "ASSAM tea", "Tea"]),
        ("¡Hola! Taza", ["hola", "¡hola!"]),
        ("Ice\u00a0Cream", ["cream", "ice cream", "ice\u00a0cream"]),
        ("2024\u20132025 Planner", ["2025", "2024-2025", "2024"]),
        ("USB-C/HDMI adapter", ["hdmi", "usbc", "usb-c", "usb c", "USB-C/HDMI"]),
        ("Café au lait", ["cafe", "café", "cafe\u0301", "lait cafe"]),
        ("Wi-Fi Router", ["wifi", "wi-fi", "wi fi", "WI\u2011FI"]),
        ("Men's Shirt", ["mens", "men's", "men\u2019s", "men"]),
        ("Straße", ["strasse", "STRASSE", "straß"]),
        ("豚肉・木耳と玉子炒め弁当", ["豚肉", "木耳", "玉子炒め", "弁"]),
        ("ข้าวผัดกุ้ง", ["ข้าวผัด", "กุ้ง"]),
        ("Donaudampfschifffahrtsgesellschaft", ["donaudampfschiff", "donau"]),
        ("Keyboard", ["keybaord", "kyboard", "keyboarrd", "keyboatd", "Keybord"]),
    ],
)
async def test_what_people_type_is_found(db: Database, name: str, words: list[str]) -> None:
    tenant = await shop_with(db, name, "Something else")
    for typed in words:
        assert await names_of(db, tenant, typed) == [name], typed
    assert await names_of(db, tenant, f"{words[0]} xylophone") == []
    assert await names_of(db, tenant, "!!! ' \\ & :*") == []


async def test_codes_are_found_by_their_parts_and_first(db: Database) -> None:
    tenant = await new_tenant(db)
    made = [
        product(tenant, "TEA-100", name="Assam"),
        product(tenant, "X", name="Tea 100 bags"),
        product(tenant, "ISO-9001", name="Handbook", barcode="4006381333931"),
        product(tenant, "TEA-1001", name="Ceylon"),
    ]
    await stock(db, made)
    assert (await names_of(db, tenant, "tea-100"))[0] == "Assam"
    assert (await names_of(db, tenant, "tea100"))[0] == "Assam"
    assert sorted(await names_of(db, tenant, "100")) == ["Assam", "Ceylon", "Tea 100 bags"]
    assert (await names_of(db, tenant, "100"))[-1] == "Ceylon"
    assert await names_of(db, tenant, "9001") == ["Handbook"]
    assert await names_of(db, tenant, "4006381333931") == ["Handbook"]
    assert await names_of(db, tenant, "400638") == ["Handbook"]


async def test_the_best_come_first(db: Database) -> None:
    """Whole words before beginnings before what is mistyped; names before categories before
    descriptions."""
    tenant = await new_tenant(db)
    made = [
        product(tenant, "F", name="Described", description="goes with every lamp"),
        product(tenant, "E", name="Typo lmap"),
        product(tenant, "D", name="In a begun category", category="Lamps"),
        product(tenant, "C", name="In a category", category="Lamp"),
        product(tenant, "B", name="Lampshade"),
        product(tenant, "A", name="Red lamp"),
    ]
    await stock(db, made)
    best = ["Red lamp", "Lampshade", "In a category", "In a begun category", "Described"]
    assert await names_of(db, tenant, "lamp") == [*best, "Typo lmap"]
    assert await names_of(db, tenant, "red lamp") == ["Red lamp"]


async def test_a_product_is_found_by_its_variants(db: Database) -> None:
    tenant = await new_tenant(db)
    shirt = product(tenant, "SHIRT", name="Linen shirt")
    await stock(db, [shirt])
    now = datetime.now(UTC)
    form = Variant(
        uuid7(), tenant, shirt.id, {"size": "XL", "colour": "Petrol"}, "SH-XL-9", "5012345678900",
        None, None, [], {}, 0, 1, now, now,
    )  # fmt: skip
    async with db.transaction(Scope(tenant)) as tx:
        await variants.add(tx, [form])
    for typed in ("petrol shirt", "xl", "sh-xl-9", "5012345678900"):
        assert await names_of(db, tenant, typed) == ["Linen shirt"], typed
    async with db.transaction(Scope(tenant)) as tx:
        await variants.replace(tx, [replace(form, options={"size": "S", "colour": "Plum"})])
    assert await names_of(db, tenant, "petrol") == []
    assert await names_of(db, tenant, "plum") == ["Linen shirt"]
    async with db.transaction(Scope(tenant)) as tx:
        await variants.remove(tx, [form.id], now)
    assert await names_of(db, tenant, "plum") == []


async def test_changes_and_deletions_are_seen_at_once(db: Database) -> None:
    tenant = await new_tenant(db)
    made = product(tenant, "L", name="Lamp")
    await stock(db, [made])
    async with db.transaction(Scope(tenant)) as tx:
        await catalog.replace(tx, [replace(made, name="Torch", version=2)])
    assert await names_of(db, tenant, "lamp") == []
    assert await names_of(db, tenant, "torch") == ["Torch"]
    async with db.transaction(Scope(tenant)) as tx:
        await catalog.remove(tx, made.id, datetime.now(UTC))
    assert await names_of(db, tenant, "torch") == []


async def test_a_search_sees_its_own_business_alone(db: Database) -> None:
    mine, theirs = await shop_with(db, "Quince jam"), await shop_with(db, "Quince jelly")
    assert await names_of(db, mine, "quince") == ["Quince jam"]
    assert set(await names_of(db, None, "quince")) >= {"Quince jam", "Quince jelly"}
    filters = Filters(words="quince")
    async with db.transaction(Scope(mine)) as tx:
        part = await search.search(tx, filters, "relevance", Span(1, 10))
        assert [item.name for item in part.items] == ["Quince jam"]
        part = await search.search(tx, replace(filters, tenant_id=theirs), "name", Span(1, 10))
        assert part.items == []
    async with db.transaction(Scope()) as tx:
        assert (await search.search(tx, filters, "relevance", Span(1, 10))).items == []


@pytest.mark.parametrize("sort", ["relevance", "name", "-createdAt", "price"])
@pytest.mark.parametrize("looked_at", [2, 1_000])
async def test_pages_lead_on_to_the_last(
    db: Database, sort: str, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "MAX_LOOKED_AT", looked_at)
    tenant = await new_tenant(db)
    await stock(
        db,
        (
            product(tenant, f"A{n}", name=f"Zinc {'bucket' if n % 3 else 'pail'}", price_minor=n)
            for n in range(11)
        ),
    )
    for narrowed in ({}, {"min_price_e4": 300}, {"in_stock": False}, {"in_stock": True}):
        filters = Filters(tenant_id=tenant, words="zinc bucket", **narrowed)
        expected = {n for n in range(11) if n % 3} - (
            {1, 2} if "min_price_e4" in narrowed else set()
        )
        found: list[int] = []
        span: Span | None = Span(1, 2)
        while span is not None:
            async with db.transaction(PUBLIC) as tx:
                part = await search.search(tx, filters, sort, span)
            found += [item.price_minor for item in part.items]
            span = Span(1, 2, part.next_cursor) if part.next_cursor else None
        wanted = [] if narrowed.get("in_stock") else sorted(expected)
        assert sorted(found) == wanted, narrowed


async def test_names_are_listed_as_people_sort_them(db: Database) -> None:
    ordered = ["9 Nails", "10 Nails", "Apfel", "Äpfel", "apple", "Zebra"]
    tenant = await shop_with(db, *ordered[::-1])
    for sort, expected in (("name", ordered), ("-name", ordered[::-1])):
        found: list[str] = []
        span: Span | None = Span(1, 2)
        while span is not None:
            async with db.transaction(PUBLIC) as tx:
                part = await search.search(tx, Filters(tenant_id=tenant), sort, span)
            found += [item.name for item in part.items]
            span = Span(1, 2, part.next_cursor) if part.next_cursor else None
        assert found == expected


async def test_a_row_without_a_product_is_not_due_permanently(
    db: Database, embedded: Settings
) -> None:
    tenant = await shop_with(db, "Quaint lantern")
    owner = Database(embedded.owner_database_url, pool_size=1)
    async with owner.transaction(Scope(tenant)) as tx:
        await tx.execute(
            text(
                "INSERT INTO product_words (product_id, tenant_id, sort_key)"
                " VALUES (:id, :tenant, 'x')"
            ),
            {"id": uuid7(), "tenant": tenant},
        )
    await owner.close()
    async with asyncio.timeout(60):
        while await round_of_upkeep(db):
            pass
    assert await names_of(db, tenant, "lantern") == ["Quaint lantern"]


async def test_what_an_earlier_build_wrote_is_found_before_its_words_are_made(
    db: Database, embedded: Settings
) -> None:
    tenant = await shop_with(db, "Quaint lantern", "Quaint lamp", category="Curios")
    owner = Database(embedded.owner_database_url, pool_size=1)
    async with owner.transaction(Scope(tenant)) as tx:
        await tx.execute(_OF_EARLIER_BUILD)
    assert await names_of(db, tenant, "lant") == ["Quaint lantern"]
    assert len(await names_of(db, tenant, "quaint", sort="name")) == 2
    assert await names_of(db, tenant, "lantren") == []
    while await round_of_upkeep(db):
        pass
    assert await names_of(db, tenant, "lantren") == ["Quaint lantern"]
    # A renaming is the database's own, and seen to afterwards.
    async with db.transaction(Scope(tenant)) as tx:
        await tx.execute(
            text("UPDATE categories SET name = 'Finds', path = 'Finds' WHERE tenant_id = :id"),
            {"id": tenant},
        )
    while await round_of_upkeep(db):
        pass
    assert len(await names_of(db, tenant, "finds")) == 2
    assert await names_of(db, tenant, "curios") == []
    await owner.close()
