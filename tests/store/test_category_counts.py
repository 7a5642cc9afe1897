"""The counts that categories carry are those of their products, whatever is done to these."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.settings import Settings
from deployments.catalog.categories import service as categories
from store.catalog import categories as catalog_categories
from store.catalog import products as catalog
from store.catalog.products import products
from store.kit.engine import Database, Scope
from tests.store.test_catalog import new_tenant, product


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url, pool_size=2)
    yield database
    await database.close()


async def counts(tx: AsyncConnection, tenant: UUID) -> dict[str, int]:
    """What the categories carry, once it is what the products say."""
    rows = await tx.execute(select(products.c.category).where(products.c.deleted_at.is_(None)))
    there = Counter(path for path in rows.scalars() if path is not None)
    carried = {category.path: size for category, size in await catalog_categories.tree(tx, tenant)}
    assert {path: size for path, size in carried.items() if size} == there
    assert dict(await catalog_categories.in_use(tx, tenant)) == there
    return carried


async def test_counts_follow_every_change(db: Database) -> None:
    tenant = await new_tenant(db)
    now = datetime.now(UTC)
    made = [product(tenant, f"S{n}", category="Toys" if n % 2 else "Toys > Cars") for n in range(9)]
    made += [product(tenant, "none")]
    async with db.transaction(Scope(tenant)) as tx:
        await categories.ensure(tx, tenant, ["Toys", "Toys > Cars", "Books"], now)
        await catalog.add(tx, made)
        assert await counts(tx, tenant) == {"Toys": 4, "Toys > Cars": 5, "Books": 0}
        await catalog.replace(tx, [replace(product, category="Books") for product in made[:3]])
        assert await counts(tx, tenant) == {"Toys": 3, "Toys > Cars": 3, "Books": 3}
        await catalog.replace(tx, [replace(made[0], name="Other"), replace(made[1], category=None)])
        await catalog.remove(tx, made[3].id, now)
        assert await counts(tx, tenant) == {"Toys": 2, "Toys > Cars": 4, "Books": 1}


async def test_a_renaming_takes_the_counts_along(db: Database) -> None:
    tenant = await new_tenant(db)
    now = datetime.now(UTC)
    made = [product(tenant, f"S{n}", category="Toys > Cars") for n in range(3)]
    async with db.transaction(Scope(tenant)) as tx:
        await categories.ensure(tx, tenant, ["Toys > Cars"], now)
        await catalog.add(tx, made)
        toys = (await catalog_categories.by_paths(tx, tenant, ["Toys"]))["Toys"]
        await catalog_categories.change(tx, toys, replace(toys, name="Fun", path="Fun"))
        assert await counts(tx, tenant) == {"Fun": 0, "Fun > Cars": 3}
        await catalog.remove_all(tx, tenant, now)
        assert await counts(tx, tenant) == {"Fun": 0, "Fun > Cars": 0}
