"""A product gets its first variant only where nobody can be left with stock that cannot be sold:
through the gateway, with the owners of the stock in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from core.principal import Role
from core.settings import Settings
from deployments.catalog.capability import capability as catalog
from deployments.catalog.variants import parents
from deployments.catalog.variants import service as variants
from deployments.inventory.capability import capability as inventory
from store.kit.commands import Recorded
from store.kit.engine import Scope
from tests.api.catalog.catalog_kit import (
    Kit,
    caller,
    running_kit,
)

SMALL = {"options": {"size": "S"}}


@dataclass
class Desk:
    """Somebody at a replica's two capabilities."""

    kit: Kit
    http: httpx2.AsyncClient
    tenant: UUID

    async def post(self, path: str, body: Any = None) -> httpx2.Response:
        headers = {"Idempotency-Key": str(uuid4())}
        return await self.http.post(f"/api/{path}", json=body, headers=headers)

    async def done(self, path: str, body: Any = None) -> Any:
        reply = await self.post(path, body)
        assert reply.is_success, reply.text
        return reply.json()["data"]

    async def product(self, **fields: Any) -> str:
        made: str = (await self.done("products", {"name": "Tea", "price": 1, **fields}))["id"]
        return made

    async def add(self, product: str, quantity: int = 1) -> httpx2.Response:
        return await self.post("inventory/add", {"productId": product, "quantity": quantity})

    async def vary(self, product: str, **fields: Any) -> httpx2.Response:
        return await self.post(f"products/{product}/variants", {**SMALL, **fields})

    async def level(self, product: str) -> tuple[int, int]:
        reply = await self.http.get(f"/api/inventory/{product}")
        data = reply.json()["data"]
        return data["onHand"], data["reserved"]

    async def adjust(self, product: str, delta: int) -> httpx2.Response:
        lines = [{"productId": product, "delta": delta}]
        return await self.post("inventory/adjustments", {"lines": lines, "reason": "correction"})


@pytest.fixture
async def desk(embedded: Settings) -> AsyncIterator[Desk]:
    async with running_kit(embedded) as kit:
        app = kit.app((catalog, inventory))
        tenant = await kit.business()
        async with caller(kit, app, Role.OWNER, tenant).http as http:
            yield Desk(kit, http, tenant)


def refused(reply: httpx2.Response, code: str) -> dict[str, Any]:
    assert reply.status_code == 409, reply.text
    problem: dict[str, Any] = reply.json()
    assert problem["code"] == code
    return problem


async def test_stock_is_brought_to_zero_before_the_first_variant(desk: Desk) -> None:
    product = await desk.product()
    assert (await desk.add(product, 3)).is_success
    problem = refused(await desk.vary(product), "product_has_stock")
    assert [(one["onHand"], one["reserved"]) for one in problem["levels"]] == [(3, 0)]
    assert "zero" in problem["detail"]
    hold = {"productId": product, "quantity": 3}
    held = await desk.done("inventory/reserve", hold)
    refused(await desk.vary(product), "product_has_stock")
    await desk.done(f"inventory/reservations/{held['reservationId']}/confirm")
    assert (await desk.vary(product)).status_code == 201
    # This replica still takes it for a simple product, as another one would.
    for reply in (await desk.add(product), await desk.post("inventory/reserve", hold)):
        assert refused(reply, "choose_variant")["productId"] == product
    refused(await desk.adjust(product, 1), "choose_variant")
    assert (await desk.vary(product, options={"size": "M"})).status_code == 201


async def test_stock_and_the_first_variant_never_both(desk: Desk) -> None:
    async def first(product: str) -> None:
        added, varied = await asyncio.gather(desk.add(product), desk.vary(product))
        assert sorted((added.status_code, varied.status_code)) in ([200, 409], [201, 409])
        if varied.is_success:
            refused(added, "choose_variant")
        else:
            refused(varied, "product_has_stock")

    for _ in range(4):
        await asyncio.gather(*[first(await desk.product()) for _ in range(5)])


async def test_without_its_last_variant_a_product_is_stocked_again(desk: Desk) -> None:
    product = await desk.product()
    assert (await desk.add(product, 0)).is_success
    made = (await desk.vary(product)).json()["data"]["id"]
    headers = {"Idempotency-Key": "gone"}
    for _ in range(2):
        reply = await desk.http.delete(f"/api/products/variants/{made}", headers=headers)
        assert reply.is_success, reply.text
    assert (await desk.add(product, 2)).is_success
    assert await desk.level(product) == (2, 0)


async def test_a_variant_that_was_not_written_leaves_no_trace(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the replica dies between the two."""
    product = await desk.product()
    assert (await desk.add(product, 0)).is_success

    async def dies(*_: Any) -> Recorded:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(variants.catalog_variants, "add", dies)
        assert (await desk.vary(product)).status_code == 500
    refused(await desk.add(product, 2), "choose_variant")
    assert (await desk.add(product, 2)).is_success
    assert await desk.level(product) == (2, 0)


async def test_a_repeat_of_a_try_that_failed_looks_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await desk.product()
    assert (await desk.add(product, 0)).is_success
    address, headers = f"/api/products/{product}/variants", {"Idempotency-Key": "once more"}

    async def dies(*_: Any) -> Recorded:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(variants.catalog_variants, "add", dies)
        assert (await desk.http.post(address, json=SMALL, headers=headers)).status_code == 500
    refused(await desk.add(product), "choose_variant")
    assert (await desk.add(product)).is_success
    reply = await desk.http.post(address, json=SMALL, headers=headers)
    refused(reply, parents.ProductHasStock.code)


async def test_an_import_gives_no_variants_to_what_has_stock(desk: Desk) -> None:
    stocked, empty = await desk.product(sku="STOCKED"), await desk.product(sku="EMPTY")
    assert (await desk.add(stocked)).is_success
    assert (await desk.add(empty, 0)).is_success
    rows = [{"sku": f"{parent}-S", "parentSku": parent, **SMALL} for parent in ("STOCKED", "EMPTY")]
    new = {"sku": "NEW", "name": "New", "price": 1}
    rows += [new, {"sku": "NEW-S", "parentSku": "NEW", **SMALL}]
    result = await desk.done("products/import", {"rows": rows})
    assert [row["status"] for row in result["rows"]] == [
        "rejected", "created", "created", "created"
    ]  # fmt: skip
    (error,) = result["rows"][0]["errors"]
    assert (error["field"], "stock" in error["message"]) == ("parentSku", True)
    refused(await desk.add(empty), "choose_variant")
    assert (await desk.add(stocked)).is_success


async def test_nobody_frees_a_product_between_telling_and_writing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner is told with no transaction open; meanwhile goods come in, again and again."""
    product = await desk.product()
    assert (await desk.add(product, 0)).is_success
    tell = parents.become_parents

    async def told(*arguments: Any) -> Any:
        found = await tell(*arguments)
        for _ in range(3):
            refused(await desk.add(product, 1), "choose_variant")
        return found

    monkeypatch.setattr(parents, "become_parents", told)
    assert (await desk.vary(product)).status_code == 201
    refused(await desk.add(product, 1), "choose_variant")
    assert await desk.kit.marks(desk.tenant) == 0


async def test_a_writer_who_took_too_long_begins_anew(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await desk.product()
    assert (await desk.add(product, 0)).is_success
    with monkeypatch.context() as patched:
        patched.setattr(parents, "MARKED_SECONDS", 0.0)
        assert (await desk.vary(product)).status_code == 503
    refused(await desk.add(product, 1), "choose_variant")
    assert (await desk.add(product, 1)).is_success


async def test_who_waits_for_a_host_holds_no_transaction(desk: Desk) -> None:
    """The bus of these tests looks: so each of them would fail."""
    async with desk.kit.db.transaction(Scope()):
        with pytest.raises(AssertionError, match="a transaction is held"):
            await desk.kit.bus.send()
