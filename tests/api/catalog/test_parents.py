"""A product gets its first variant only where nobody can be left with stock that cannot be sold:
through the gateway, with the owners of the stock in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from deployments.catalog.capability import capability as catalog
from deployments.catalog.variants import parents
from deployments.catalog.variants import service as variants
from deployments.inventory.capability import capability as inventory
from store.kit.commands import Recorded
from store.kit.engine import Scope
from tests.api.catalog.catalog_kit import SMALL, add, adjust, vary
from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, done, open_shop, problem

ALL = (catalog, inventory)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_shop(here, keyed=True) as opened:
        yield opened


async def test_stock_is_brought_to_zero_before_the_first_variant(shop: Shop) -> None:
    product = await shop.product()
    assert (await add(shop, product, 3)).is_success
    found = problem(await vary(shop, product), 409, "product_has_stock")
    assert [(level["onHand"], level["reserved"]) for level in found["levels"]] == [(3, 0)]
    assert "zero" in found["detail"]
    hold = {"productId": product, "quantity": 3}
    held = done(await shop.owner.post("/api/inventory/reserve", hold))
    problem(await vary(shop, product), 409, "product_has_stock")
    done(await shop.owner.post(f"/api/inventory/reservations/{held['id']}/confirm"))
    assert (await vary(shop, product)).status_code == 201
    # This replica still takes it for a simple product, as another one would.
    for reply in (await add(shop, product), await shop.owner.post("/api/inventory/reserve", hold)):
        assert problem(reply, 409, "choose_variant")["productId"] == product
    problem(await adjust(shop, product, 1), 409, "choose_variant")
    assert (await vary(shop, product, options={"size": "M"})).status_code == 201


async def test_stock_and_the_first_variant_never_both(shop: Shop) -> None:
    async def first(product: str) -> None:
        added, varied = await asyncio.gather(add(shop, product), vary(shop, product))
        assert sorted((added.status_code, varied.status_code)) in ([200, 409], [201, 409])
        if varied.is_success:
            problem(added, 409, "choose_variant")
        else:
            problem(varied, 409, "product_has_stock")

    for _ in range(4):
        await asyncio.gather(*[first(await shop.product()) for _ in range(5)])


async def test_without_its_last_variant_a_product_is_stocked_again(shop: Shop) -> None:
    product = await shop.product()
    assert (await add(shop, product, 0)).is_success
    made = (await vary(shop, product)).json()["data"]["id"]
    headers = {"Idempotency-Key": "gone"}
    for _ in range(2):
        reply = await shop.owner.http.delete(f"/api/products/variants/{made}", headers=headers)
        assert reply.is_success, reply.text
    assert (await add(shop, product, 2)).is_success
    assert (await shop.level(product))[1:] == (2, 0)


async def test_a_variant_that_was_not_written_leaves_no_trace(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the replica dies between the two."""
    product = await shop.product()
    assert (await add(shop, product, 0)).is_success

    async def dies(*_: Any) -> Recorded:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(variants.catalog_variants, "add", dies)
        assert (await vary(shop, product)).status_code == 500
    problem(await add(shop, product, 2), 409, "choose_variant")
    assert (await add(shop, product, 2)).is_success
    assert (await shop.level(product))[1:] == (2, 0)


async def test_a_repeat_of_a_try_that_failed_looks_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await shop.product()
    assert (await add(shop, product, 0)).is_success
    address, headers = f"/api/products/{product}/variants", {"Idempotency-Key": "once more"}

    async def dies(*_: Any) -> Recorded:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(variants.catalog_variants, "add", dies)
        assert (await shop.owner.http.post(address, json=SMALL, headers=headers)).status_code == 500
    problem(await add(shop, product), 409, "choose_variant")
    assert (await add(shop, product)).is_success
    reply = await shop.owner.http.post(address, json=SMALL, headers=headers)
    problem(reply, 409, parents.ProductHasStock.code)


async def test_an_import_gives_no_variants_to_what_has_stock(shop: Shop) -> None:
    stocked, empty = await shop.product(sku="STOCKED"), await shop.product(sku="EMPTY")
    assert (await add(shop, stocked)).is_success
    assert (await add(shop, empty, 0)).is_success
    rows = [{"sku": f"{parent}-S", "parentSku": parent, **SMALL} for parent in ("STOCKED", "EMPTY")]
    new = {"sku": "NEW", "name": "New", "price": 1}
    rows += [new, {"sku": "NEW-S", "parentSku": "NEW", **SMALL}]
    result = done(await shop.owner.post("/api/products/import", {"rows": rows}))
    assert [row["status"] for row in result["rows"]] == [
        "rejected", "created", "created", "created"
    ]  # fmt: skip
    (error,) = result["rows"][0]["errors"]
    assert (error["field"], "stock" in error["message"]) == ("parentSku", True)
    problem(await add(shop, empty), 409, "choose_variant")
    assert (await add(shop, stocked)).is_success


async def test_nobody_frees_a_product_between_telling_and_writing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner is told with no transaction open; meanwhile goods come in, again and again."""
    product = await shop.product()
    assert (await add(shop, product, 0)).is_success
    tell = parents.become_parents

    async def told(*arguments: Any) -> Any:
        found = await tell(*arguments)
        for _ in range(3):
            problem(await add(shop, product, 1), 409, "choose_variant")
        return found

    monkeypatch.setattr(parents, "become_parents", told)
    assert (await vary(shop, product)).status_code == 201
    problem(await add(shop, product, 1), 409, "choose_variant")
    assert await shop.sees("SELECT FROM first_variants") == []


async def test_a_writer_who_took_too_long_begins_anew(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await shop.product()
    assert (await add(shop, product, 0)).is_success
    with monkeypatch.context() as patched:
        patched.setattr(parents, "MARKED_SECONDS", 0.0)
        assert (await vary(shop, product)).status_code == 503
    problem(await add(shop, product, 1), 409, "choose_variant")
    assert (await add(shop, product, 1)).is_success


async def test_who_waits_for_a_host_holds_no_transaction(shop: Shop) -> None:
    """The bus of these tests looks: so each of them would fail."""
    async with shop.served.resources.db.transaction(Scope()):
        with pytest.raises(AssertionError, match="a transaction is held"):
            await shop.served.resources.bus.send()
