"""Businesses, locations and tax rates in the real database, behind their walls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from core.clock import SystemClock
from core.errors import NotFound
from core.ids import uuid7
from core.settings import Settings
from deployments.business.places import Places
from store.business import profile
from store.business.locations import locations
from store.business.locations import rows as location_rows
from store.business.taxes import Rate, classes, rates_at, tax_classes, tax_rates
from store.kit.engine import Database, Scope

NOW = datetime.now(UTC)
LONG_AGO, LATELY, SOON = NOW - timedelta(days=99), NOW - timedelta(days=9), NOW + timedelta(days=9)


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url)
    yield database
    await database.close()


@pytest.fixture
async def tenant(db: Database) -> UUID:
    tenant_id = uuid7()
    async with db.transaction(Scope(tenant_id=tenant_id)) as tx:
        await profile.open_business(tx, tenant_id, "Ann's", "EUR")
    return tenant_id


async def add(db: Database, tenant: UUID, table: Any, **values: Any) -> UUID:
    row_id = uuid7()
    async with db.transaction(Scope(tenant_id=tenant)) as tx:
        await tx.execute(insert(table).values(id=row_id, tenant_id=tenant, **values))
    return row_id


async def new_location(db: Database, tenant: UUID, name: str = "Branch") -> UUID:
    return await add(db, tenant, locations, name=name, time_zone="UTC", currency="EUR")


async def new_rate(db: Database, tenant: UUID, klass: UUID, rate_ppm: int, **rest: Any) -> UUID:
    row = {"name": f"{rate_ppm}", "valid_from": LONG_AGO} | rest
    return await add(db, tenant, tax_rates, tax_class_id=klass, rate_ppm=rate_ppm, **row)


async def test_a_business_is_born_with_its_main_location_on_the_default_plan(
    db: Database, tenant: UUID
) -> None:
    async with db.lookup(Scope(tenant_id=tenant)) as lookup:
        terms = await profile.till_terms(lookup, tenant)
    async with db.transaction(Scope(tenant_id=tenant)) as tx:
        plan = (await tx.execute(text("SELECT plan FROM businesses"))).scalar_one()
    assert plan == "free"
    assert terms == profile.TillTerms("Ann's", "Main", "EUR", "UTC", False, "", "", None, {})
    assert terms.rate(None) is None


async def test_another_tenants_location_has_no_terms(db: Database, tenant: UUID) -> None:
    async with db.lookup(Scope(tenant_id=uuid7())) as lookup:
        assert await profile.till_terms(lookup, tenant) is None


async def test_a_locations_own_rate_beats_a_newer_general_one(db: Database, tenant: UUID) -> None:
    branch = await new_location(db, tenant)
    klass = await add(db, tenant, tax_classes, name="Food", is_default=True)
    await new_rate(db, tenant, klass, 200_000)
    await new_rate(db, tenant, klass, 210_000, valid_from=LATELY)
    await new_rate(db, tenant, klass, 50_000, location_id=branch)
    await new_rate(db, tenant, klass, 60_000, location_id=branch, valid_from=SOON)
    await new_rate(db, tenant, klass, 1, location_id=branch, valid_from=LATELY, deleted_at=NOW)
    async with db.lookup(Scope(tenant_id=tenant)) as lookup:
        assert await rates_at(lookup, tenant) == {klass: Rate("210000", 210_000)}
        assert await rates_at(lookup, branch) == {klass: Rate("50000", 50_000)}
        assert (await rates_at(lookup, branch, SOON))[klass].rate_ppm == 60_000
        assert (await rates_at(lookup, tenant, LATELY - timedelta(days=1)))[
            klass
        ].rate_ppm == 200_000
        assert await rates_at(lookup, tenant, LONG_AGO - timedelta(days=1)) == {}
        terms = await profile.till_terms(lookup, branch)
    assert terms is not None
    assert terms.rate(None) == terms.rate(klass) == Rate("50000", 50_000)
    assert terms.rate(uuid7()) is None


async def test_a_rate_cannot_hang_on_another_tenants_class(db: Database, tenant: UUID) -> None:
    other = uuid7()
    async with db.transaction(Scope(tenant_id=other)) as tx:
        await profile.open_business(tx, other, "Bob's", "EUR")
    theirs = await add(db, other, tax_classes, name="Food")
    with pytest.raises(DBAPIError, match="fk_tax_rates"):
        await new_rate(db, tenant, theirs, 1)
    mine = await add(db, tenant, tax_classes, name="Food")
    with pytest.raises(DBAPIError, match="fk_tax_rates"):
        await new_rate(db, tenant, mine, 1, location_id=other)


async def test_the_main_location_cannot_be_deleted(db: Database, tenant: UUID) -> None:
    with pytest.raises(DBAPIError, match="main_stays"):
        async with db.transaction(Scope(tenant_id=tenant)) as tx:
            await tx.execute(text("UPDATE locations SET deleted_at = now()"))


async def test_places_know_a_tenants_live_locations(db: Database, tenant: UUID) -> None:
    places = Places(db, SystemClock())
    assert await places.check(tenant, None) == await places.check(tenant, tenant) == tenant
    first = await new_location(db, tenant, "One")
    assert await places.check(tenant, first) == first
    second = await new_location(db, tenant, "Two")
    assert await places.check(tenant, second) == second  # looked up again for what is not known
    for wrong in (uuid7(), uuid7()):
        with pytest.raises(NotFound):
            await places.check(tenant, wrong)
    with pytest.raises(NotFound):
        await places.check(uuid7(), first)
    async with db.transaction(Scope(tenant_id=tenant)) as tx:
        await tx.execute(text("UPDATE locations SET deleted_at = now() WHERE name = 'One'"))
    places.forget(tenant)
    with pytest.raises(NotFound):
        await places.check(tenant, first)


async def test_a_later_version_is_never_dated_earlier(db: Database, tenant: UUID) -> None:
    """Also where its transaction began first and then waited for the other: who reads what has
    changed since would miss it."""
    async with db.transaction(Scope(tenant_id=tenant)) as waited:
        await waited.execute(text("SELECT 1"))
        async with db.transaction(Scope(tenant_id=tenant)) as tx:
            branch = await location_rows.change(tx, tenant, {"name": "Second"})
            business = await profile.change(tx, tenant, {"name": "Second"})
        later_branch = await location_rows.change(waited, tenant, {"name": "Third"})
        later_business = await profile.change(waited, tenant, {"name": "Third"})
        added = {"id": uuid7(), "tenant_id": tenant, "name": "goods", "is_default": False}
        added_class = await classes.add(waited, added)
    for earlier, later in [(branch, later_branch), (business, later_business)]:
        assert later.version == earlier.version + 1
        assert later.updated_at > earlier.updated_at
    assert added_class.created_at == added_class.updated_at > business.updated_at
