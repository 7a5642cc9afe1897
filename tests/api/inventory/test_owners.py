"""Which business a product is of: asked for in few queries, and never told to the wrong one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.clock import SystemClock
from core.errors import NotFound
from deployments.business.owners import ProductOwners
from store.catalog import bundles
from store.catalog.bundles import ItemOwner
from store.kit.engine import Database
from tests.api.shop import Shop


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many products each query was about."""
    asked: list[int] = []
    owners_of = bundles.owners_of

    async def counted(lookup: Any, product_ids: Collection[UUID]) -> dict[UUID, ItemOwner]:
        asked.append(len(product_ids))
        return await owners_of(lookup, product_ids)

    monkeypatch.setattr(bundles, "owners_of", counted)
    return asked


async def test_many_first_looks_are_few_queries(shop: Shop, queries: list[int]) -> None:
    products = [UUID(await shop.product()) for _ in range(12)]
    db = Database(shop.stack.settings.app_database_url)
    owners = ProductOwners(db, SystemClock())
    try:
        await asyncio.gather(*(owners.check(shop.tenant, [product]) for product in products))
        assert queries == [12] or (len(queries) == 2 and sum(queries) == 12)
        await owners.check(shop.tenant, products)
        assert len(queries) <= 2
        with pytest.raises(NotFound):
            await owners.check(uuid4(), products)
        assert [await owners.of(product) for product in products] == [shop.tenant] * 12
    finally:
        await db.close()


async def test_who_hangs_up_takes_nobody_along(shop: Shop, queries: list[int]) -> None:
    first, second = UUID(await shop.product()), UUID(await shop.product())
    db = Database(shop.stack.settings.app_database_url)
    owners = ProductOwners(db, SystemClock())
    try:
        gone = asyncio.create_task(owners.check(shop.tenant, [first]))
        stays = asyncio.create_task(owners.check(shop.tenant, [second]))
        await asyncio.sleep(0)
        gone.cancel()
        await stays
        assert await owners.of(second) == shop.tenant
    finally:
        await db.close()


async def test_a_database_out_of_reach_is_said_and_asked_again(shop: Shop) -> None:
    product = UUID(await shop.product())
    settings = shop.stack.settings
    nowhere = Database(settings.app_database_url.replace("/holdfast?", "/nowhere?"))
    db = Database(settings.app_database_url)
    owners = ProductOwners(nowhere, SystemClock())
    try:
        with pytest.raises(Exception, match=r"nowhere|unavailable|Unavailable"):
            await owners.check(shop.tenant, [product])
        owners._db = db
        await owners.check(shop.tenant, [product])
    finally:
        await nowhere.close()
        await db.close()
