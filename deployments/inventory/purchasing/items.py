"""What a supplier sells, for how much, and under which SKU of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator

from core.errors import FieldError, NotFound, ValidationFailed
from core.money import from_minor, to_minor
from deployments.inventory.access import Buyer
from deployments.inventory.purchasing.suppliers import LeadTime
from deployments.kit.records import locked_business
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key, change
from gateway.access import tenant_of
from gateway.changes import Partial
from gateway.errors import responses
from gateway.fields import no_blank_ends, visible
from gateway.schemas import MAX_ITEM_CODE, Amount, CamelModel, Envelope, Sum, composed
from store.catalog import bundles
from store.catalog.bundles import ItemFacts
from store.inventory import suppliers
from store.inventory.suppliers import MAX_SUPPLIED_ITEMS, SuppliedItem, Supplier
from store.kit import audit
from store.kit.engine import Scope, Transaction

# Of one line of the audit log.
MAX_DIFFERENCES = 50

SupplierId = Annotated[UUID, Path(alias="supplierId")]

SupplierSku = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_ITEM_CODE),
    BeforeValidator(no_blank_ends),
    AfterValidator(composed),
    AfterValidator(visible),
]

router = Router()


class NewSuppliedItem(CamelModel):
    """What a supplier calls a product, and takes for one, in its currency."""

    product_id: UUID
    supplier_sku: SupplierSku | None = None
    cost: Amount | None = None
    lead_time_days: LeadTime | None = Field(default=None, description="If not the supplier's own")


class SuppliedItemOut(CamelModel):
    """What a supplier calls a product, and takes for one, in its currency."""

    product_id: UUID
    supplier_sku: str | None
    cost: Sum | None
    lead_time_days: int | None = Field(description="If not the supplier's own")

    @classmethod
    def of(cls, item: SuppliedItem, currency: str) -> SuppliedItemOut:
        cost = None if item.cost_minor is None else from_minor(item.cost_minor, currency)
        return cls(
            product_id=item.item_id,
            supplier_sku=item.supplier_sku,
            cost=cost,
            lead_time_days=item.lead_time_days,
        )


class SuppliedItemsChanges(Partial):
    """All that the supplier sells, in place of what was there; null for nothing."""

    items: Annotated[list[NewSuppliedItem], Field(max_length=MAX_SUPPLIED_ITEMS)] | None = None

    @field_validator("items")
    @classmethod
    def _each_once(cls, value: list[NewSuppliedItem] | None) -> list[NewSuppliedItem] | None:
        if value is not None and len({item.product_id for item in value}) < len(value):
            raise ValueError("must name each product once")
        return value


@router.get(
    "/suppliers/{supplierId}/items",
    summary="List a supplier's items",
    responses=responses(NotFound),
)
async def supplied_items(
    shared: Shared, principal: Buyer, supplier_id: SupplierId
) -> Envelope[list[SuppliedItemOut]]:
    """What it sells, for how much, and under which SKU of its own."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        return Envelope(data=await _shown(tx, await found_supplier(tx, supplier_id)))


@router.put(
    "/suppliers/{supplierId}/items",
    summary="Replace a supplier's items",
    responses=responses(NotFound),
)
async def put_supplied_items(
    shared: Shared, principal: Buyer, key: Key, supplier_id: SupplierId, body: SuppliedItemsChanges
) -> Made[list[SuppliedItemOut]]:
    """Says what it sells, in place of what was said before."""
    tenant_id = tenant_of(principal)

    async def work(tx: Transaction) -> Made[list[SuppliedItemOut]]:
        await locked_business(tx, tenant_id, shared=True)
        supplier = await found_supplier(tx, supplier_id, lock=True)
        if "items" not in body.model_fields_set:
            return Made.of(await _shown(tx, supplier))
        wanted = body.items or []
        await check_items(tx, "items", [item.product_id for item in wanted])
        items = [_supplied(index, item, supplier) for index, item in enumerate(wanted)]
        changes = _differences(await suppliers.supplied_items(tx, supplier_id), items)
        await suppliers.put_supplied_items(tx, supplier, tenant_id, items)
        await audit.record(
            tx, tenant_id, principal, "supplier.items_replaced", supplier_id, changes
        )
        return Made.of(await _shown(tx, supplier))

    return await change(shared, principal, key, work)


async def found_supplier(tx: Transaction, supplier_id: UUID, *, lock: bool = False) -> Supplier:
    """Raises NotFound."""
    supplier = await suppliers.rows.get(tx, supplier_id, lock=lock)
    if supplier is None:
        raise NotFound("There is no such supplier here.")
    return supplier


async def check_items(
    tx: Transaction, field: str, item_ids: Sequence[UUID]
) -> dict[UUID, ItemFacts]:
    """That each is an item which has stock of its own; what they are. Raises NotFound, and
    ValidationFailed on `field[n].productId`."""
    facts = await bundles.facts_of(tx, item_ids)
    for index, item_id in enumerate(item_ids):
        fact = facts.get(item_id)
        if fact is None:
            raise NotFound(f"There is no product {item_id} here.")
        if fact.kind not in ("simple", "variant"):
            message = f"is a {fact.kind}: name what is in it"
            if fact.kind == "parent":
                message = "has variants: name one of them"
            elif fact.kind == "service":
                message = "is a service, which has no stock"
            raise ValidationFailed([FieldError(f"{field}[{index}].productId", message)])
    return facts


async def _shown(tx: Transaction, supplier: Supplier) -> list[SuppliedItemOut]:
    items = await suppliers.supplied_items(tx, supplier.id)
    return [SuppliedItemOut.of(item, supplier.currency) for item in items]


def _differences(
    before: Sequence[SuppliedItem], after: Sequence[SuppliedItem]
) -> dict[str, tuple[str | None, str | None]]:
    """By item, what was and is said of it, where that differs; MAX_DIFFERENCES at most."""

    def said(items: Sequence[SuppliedItem]) -> dict[UUID, str]:
        return {
            item.item_id: (
                f"sku {item.supplier_sku}, cost {item.cost_minor}, days {item.lead_time_days}"
            )
            for item in items
        }

    had, has = said(before), said(after)
    differing = [item_id for item_id in {**had, **has} if had.get(item_id) != has.get(item_id)]
    return {
        str(item_id): (had.get(item_id), has.get(item_id))
        for item_id in differing[:MAX_DIFFERENCES]
    }


def _supplied(index: int, item: NewSuppliedItem, supplier: Supplier) -> SuppliedItem:
    cost = item.cost
    field = f"items[{index}].cost"
    minor = None if cost is None else to_minor(cost, supplier.currency, field)
    return SuppliedItem(item.product_id, item.supplier_sku, minor, item.lead_time_days)
