"""Baskets that wait: rows of the business, with nothing held for them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.errors import NotFound
from core.ids import uuid7
from core.principal import Principal
from core.request import RequestKey
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change
from deployments.pos.customers import check_customer
from deployments.pos.errors import TooManyParked
from deployments.pos.fields import Row
from deployments.pos.parked.schemas import NewParkedSale, ParkedSaleOut
from deployments.pos.places import place_of
from gateway.access import tenant_of
from gateway.schemas import Message
from store.business import locations
from store.kit.engine import Scope, Transaction
from store.pos import reading


async def park(
    shared: Resources, principal: Principal, key: RequestKey, body: NewParkedSale
) -> Made[ParkedSaleOut]:
    """Raises NotFound for a location or a customer that is not there, TooManyParked."""
    tenant_id = tenant_of(principal)
    basket = body.basket
    place = await place_of(shared, principal, basket.location_id, basket.register_id)
    row = {
        "id": uuid7(),
        "tenant_id": tenant_id,
        "location_id": place,
        "label": body.label,
        "basket": body.basket.model_dump(mode="json", by_alias=True, exclude_none=True),
        "parked_by": principal.id,
        "customer_id": body.basket.customer_id,
    }

    async def work(tx: Transaction) -> Made[ParkedSaleOut]:
        if place != tenant_id and place not in await locations.live_ids(tx):
            raise NotFound(f"There is no location {place} here.")
        await check_customer(tx, body.basket.customer_id, "basket.customerId")
        made = await reading.park(tx, row)
        if made is None:
            raise TooManyParked
        return Made.of(parked_of(made), 201)

    return await change(shared, principal, key, work)


async def one(shared: Resources, principal: Principal, parked_id: UUID) -> ParkedSaleOut:
    """Raises NotFound, also for one that was taken up."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        row = await reading.parked_sale(tx, parked_id)
    if row is None:
        raise NotFound("There is no such parked sale here.")
    return parked_of(row)


async def resume(
    shared: Resources, principal: Principal, key: RequestKey, parked_id: UUID
) -> Made[ParkedSaleOut]:
    """Raises NotFound, also where another register was faster."""

    async def work(tx: Transaction) -> Made[ParkedSaleOut]:
        return Made.of(await _taken(tx, parked_id))

    return await change(shared, principal, key, work)


async def drop(
    shared: Resources, principal: Principal, key: RequestKey, parked_id: UUID
) -> Made[Message]:
    """Raises NotFound."""

    async def work(tx: Transaction) -> Made[Message]:
        await _taken(tx, parked_id)
        return Made.of(Message(message="Parked sale deleted"))

    return await change(shared, principal, key, work)


async def _taken(tx: Transaction, parked_id: UUID) -> ParkedSaleOut:
    row = await reading.unpark(tx, parked_id)
    if row is None:
        raise NotFound("There is no such parked sale here.")
    return parked_of(row)


def parked_of(row: Row) -> ParkedSaleOut:
    return ParkedSaleOut(
        id=row["id"],
        location_id=row["location_id"],
        label=row["label"],
        basket=_in_present_words(row["basket"]),
        created_by=row["parked_by"],
        created_at=row["parked_at"],
    )


def _in_present_words(basket: dict[str, Any]) -> dict[str, Any]:
    """A basket as it would be put aside today: those of earlier builds name a variant apart."""
    lines = [dict(line) for line in basket.get("lines", ())]
    for line in lines:
        if "variantId" in line:
            line["productId"] = line.pop("variantId")
    return {**basket, "lines": lines} if lines else basket
