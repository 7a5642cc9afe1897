"""What is in use cannot be deleted, and what is deleted not used: locations and tax classes, in
whatever order two requests come, and however late a replica hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from core.principal import Role
from core.settings import Settings
from deployments.business.capability import capability as business
from deployments.business.places import PLACES
from deployments.catalog.capability import capability as catalog
from deployments.inventory.capability import capability as inventory
from deployments.pos.capability import capability as pos
from store.business import locations, taxes
from tests.api.catalog.catalog_kit import (
    caller,
    running_kit,
)
from tests.api.catalog.test_parents import (
    Desk,
    refused,
)


@pytest.fixture
async def desk(embedded: Settings) -> AsyncIterator[Desk]:
    async with running_kit(embedded) as kit:
        app = kit.app((catalog, inventory, business, pos))
        tenant = await kit.business()
        async with caller(kit, app, Role.OWNER, tenant).http as http:
            yield Desk(kit, http, tenant)


async def branch(desk: Desk) -> str:
    made: str = (await desk.done("business/locations", {"name": "Branch"}))["id"]
    return made


async def delete(desk: Desk, path: str) -> httpx2.Response:
    return await desk.http.delete(f"/api/business/{path}")


async def move(desk: Desk, product: str, place: str, delta: int) -> httpx2.Response:
    if delta >= 0:
        body = {"productId": product, "locationId": place, "quantity": delta}
        return await desk.post("inventory/add", body)
    lines = [{"productId": product, "locationId": place, "delta": delta}]
    return await desk.post("inventory/adjustments", {"lines": lines, "reason": "correction"})


async def test_a_location_goes_when_nothing_is_there(desk: Desk) -> None:
    product, place = await desk.product(), await branch(desk)

    async def uses() -> Any:
        return refused(await delete(desk, f"locations/{place}"), "in_use")["uses"]

    assert (await move(desk, product, place, 3)).is_success
    assert await uses() == ["stock"]
    hold = {"productId": product, "quantity": 1, "locationId": place}
    held = await desk.done("inventory/reserve", hold)
    assert await uses() == ["reservations", "stock"]
    await desk.done(f"inventory/reservations/{held['reservationId']}/confirm")
    # Everything is on its way out, and may be called back.
    lines = [{"productId": product, "quantity": 2}]
    away = {"fromLocationId": place, "lines": lines, "ship": True}
    sent = await desk.done("inventory/transfers", away)
    assert await uses() == ["transfers"]
    await desk.done(f"inventory/transfers/{sent['transferId']}/receive")
    register = await desk.done("pos/registers", {"name": "Till", "locationId": place})
    assert await uses() == ["registers"]
    await desk.done(f"pos/registers/{register['registerId']}/shifts", {"openingFloat": 1})
    assert await uses() == ["open_shifts"]


async def test_a_replica_that_heard_nothing_leaves_no_stock_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    product, place = await desk.product(), await branch(desk)
    for delta in (1, -1):
        assert (await move(desk, product, place, delta)).is_success
    monkeypatch.setattr(PLACES.of(desk.kit), "forget", lambda _: None)
    assert (await delete(desk, f"locations/{place}")).is_success
    assert (await move(desk, product, place, 0)).is_success  # it still thinks that it is there
    refused(await move(desk, product, place, 5), "conflict")
    refused(await desk.post("pos/registers", {"name": "Till", "locationId": place}), "conflict")
    assert await desk.level(product) == (0, 0)


async def test_stock_and_a_deletion_never_both(desk: Desk) -> None:
    async def first(product: str, place: str) -> None:
        moved, deleted = await asyncio.gather(
            move(desk, product, place, 1), delete(desk, f"locations/{place}")
        )
        assert moved.is_success != deleted.is_success, (moved.text, deleted.text)
        for reply in (moved, deleted):
            assert reply.is_success or reply.status_code in (404, 409)

    product = await desk.product()
    for number in range(12):
        body = {"name": f"Branch {number}"}
        place = (await desk.done("business/locations", body))["id"]
        assert (await move(desk, product, place, 0)).is_success
        await first(product, place)


async def test_the_database_refuses_what_was_overlooked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: Any) -> list[str]:
        return []

    product, place = await desk.product(), await branch(desk)
    assert (await move(desk, product, place, 3)).is_success
    food = (await desk.done("business/tax-classes", {"name": "Food"}))["id"]
    await desk.product(taxClassId=food)
    monkeypatch.setattr(locations, "uses_of", nothing)
    monkeypatch.setattr(taxes, "uses_of", nothing)
    refused(await delete(desk, f"locations/{place}"), "in_use")
    refused(await delete(desk, f"tax-classes/{food}"), "in_use")


async def test_a_tax_class_goes_when_no_goods_have_it(desk: Desk) -> None:
    food = (await desk.done("business/tax-classes", {"name": "Food"}))["id"]
    product = await desk.product(taxClassId=food)
    other = await desk.product()
    small = {"options": {"size": "S"}, "taxClassId": food}
    variant = (await desk.vary(other, **small)).json()["data"]["id"]
    path = f"tax-classes/{food}"
    assert refused(await delete(desk, path), "in_use")["uses"] == ["products", "variants"]
    assert (await desk.http.delete(f"/api/products/{product}")).is_success
    assert refused(await delete(desk, path), "in_use")["uses"] == ["variants"]
    assert (await desk.http.delete(f"/api/products/variants/{variant}")).is_success
    assert (await delete(desk, path)).is_success
    for reply in (
        await desk.post("products", {"name": "Tea", "price": 1, "taxClassId": food}),
        await desk.http.put(f"/api/products/{other}", json={"taxClassId": food}),
        await desk.vary(other, **small),
    ):
        assert reply.status_code == 400, reply.text
        assert [error["field"] for error in reply.json()["errors"]] == ["taxClassId"]
