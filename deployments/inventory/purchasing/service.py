"""What purchasing does: suppliers in plain SQL, purchase orders by commands to their owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from actors.messages import Command
from actors.purchasing import model as p
from core import moments
from core.errors import Conflict, FieldError, NotFound, ValidationFailed
from core.ids import uuid7
from core.money import exponent, to_minor
from core.principal import Principal
from core.request import RequestKey
from deployments.business.places import PLACES
from deployments.inventory.purchasing.schemas import (
    NewSupplier,
    PurchaseBody,
    PurchaseLineBody,
    ReceiptBody,
    SuppliedItemBody,
    SuppliedItems,
    SupplierChanges,
    SupplierView,
)
from deployments.inventory.stock.service import tenant_of
from deployments.kit import desk
from deployments.kit.desk import Draft
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from gateway.schemas import CamelModel, Envelope, Message
from store.business.profile import business_currency
from store.catalog import bundles
from store.inventory import purchasing as stored
from store.inventory.purchasing import SuppliedItem, Supplier
from store.kit import audit
from store.kit.commands import Recorded, once
from store.kit.engine import Scope, Transaction

# Of one line of the audit log.
MOST_DIFFERENCES = 50


class Purchasing:
    """The suppliers and purchase orders of one caller's business."""

    def __init__(self, shared: Resources, principal: Principal) -> None:
        self._shared = shared
        self._principal = principal
        self._tenant = tenant_of(principal)
        self._scope = Scope(tenant_id=self._tenant)

    async def add_supplier(self, key: RequestKey, body: NewSupplier) -> Recorded:
        """Raises Conflict if another supplier has the name."""
        async with self._shared.db.transaction(self._scope) as tx:

            async def work() -> Recorded:
                currency = body.currency or await business_currency(tx, self._tenant)
                if currency is None:
                    raise NotFound("Your business does not exist any more.")
                exponent(currency)
                now = self._now()
                fields = body.model_dump(exclude={"currency"})
                supplier = Supplier(
                    id=uuid7(),
                    tenant_id=self._tenant,
                    currency=currency,
                    version=1,
                    created_at=now,
                    updated_at=now,
                    **fields,
                )
                await stored.add_supplier(tx, supplier)
                await self._note(tx, "supplier.created", None, supplier)
                return _recorded(201, Envelope(data=SupplierView.of(supplier)))

            return await once(tx, self._tenant, key, work)

    async def change_supplier(
        self, key: RequestKey, supplier_id: UUID, body: SupplierChanges
    ) -> Recorded:
        """Raises NotFound; Conflict if the version has moved on, or another has the name."""
        async with self._shared.db.transaction(self._scope) as tx:

            async def work() -> Recorded:
                before = await _supplier(tx, supplier_id, lock=True)
                if body.version not in (None, before.version):
                    message = f"is not the supplier's version, which is {before.version}"
                    raise Conflict(
                        "The supplier has changed since you read it.",
                        errors=[FieldError("version", message)],
                    )
                given = body.model_fields_set - {"version"}
                changes = {name: getattr(body, name) for name in given}
                if changes.get("currency", before.currency) != before.currency:
                    exponent(changes["currency"])
                    if any(one.cost_minor is not None for one in await self._items(tx, before)):
                        message = "cannot change while it has costs in the old one"
                        raise ValidationFailed([FieldError("currency", message)])
                after = replace(before, **changes)
                if after != before:
                    after = replace(after, version=before.version + 1, updated_at=self._now())
                    await stored.replace_supplier(tx, after)
                    await self._note(tx, "supplier.updated", before, after)
                return _recorded(200, Envelope(data=SupplierView.of(after)))

            return await once(tx, self._tenant, key, work)

    async def remove_supplier(self, key: RequestKey, supplier_id: UUID) -> Recorded:
        """Raises NotFound. Orders that are under way stay."""
        async with self._shared.db.transaction(self._scope) as tx:

            async def work() -> Recorded:
                await _supplier(tx, supplier_id, lock=True)
                await stored.remove_supplier(tx, supplier_id, self._now())
                await audit.record(
                    tx, self._tenant, self._principal, "supplier.deleted", supplier_id
                )
                return _recorded(200, Message(message="Supplier deleted"))

            return await once(tx, self._tenant, key, work)

    async def put_items(self, key: RequestKey, supplier_id: UUID, body: SuppliedItems) -> Recorded:
        """Raises NotFound; ValidationFailed on `items[n]` for what is no item, or no cost."""
        async with self._shared.db.transaction(self._scope) as tx:

            async def work() -> Recorded:
                supplier = await _supplier(tx, supplier_id, lock=True)
                await self._check_items(tx, "items", [item.item_id for item in body.items])
                items = [_supplied(n, item, supplier) for n, item in enumerate(body.items)]
                changes = _differences(await self._items(tx, supplier), items)
                await stored.put_supplied_items(tx, supplier, items)
                await audit.record(
                    tx,
                    self._tenant,
                    self._principal,
                    "supplier.items_replaced",
                    supplier_id,
                    changes,
                )
                return _recorded(200, await self._shown_items(tx, supplier))

            return await once(tx, self._tenant, key, work)

    async def items(self, supplier_id: UUID) -> Envelope[list[SuppliedItemBody]]:
        """Raises NotFound."""
        async with self._shared.db.transaction(self._scope) as tx:
            return await self._shown_items(tx, await _supplier(tx, supplier_id))

    async def supplier(self, supplier_id: UUID) -> Supplier:
        """Raises NotFound."""
        async with self._shared.db.transaction(self._scope) as tx:
            return await _supplier(tx, supplier_id)

    async def draft(
        self, key: RequestKey, body: PurchaseBody, purchase_id: UUID | None = None
    ) -> Ordered[p.PurchaseReply]:
        """A new draft, or another text for one. Raises NotFound, ValidationFailed on what is
        wrong about a line, PurchaseNotDraft."""

        async def draft() -> p.PutPurchase:
            location = await PLACES.of(self._shared).check(self._tenant, body.location_id)
            async with self._shared.db.transaction(self._scope) as tx:
                supplier = await _supplier(tx, body.supplier_id)
                await self._check_items(tx, "lines", [line.item_id for line in body.lines])
                costs = {item.item_id: item.cost_minor for item in await self._items(tx, supplier)}
            lead_ms = timedelta(days=supplier.lead_time_days) // timedelta(milliseconds=1)
            expected_ms = (
                key.arrived_ms + lead_ms
                if body.expected_at is None
                else moments.to_ms(body.expected_at)
            )
            terms = p.Terms(supplier.id, location, supplier.currency, body.reference, expected_ms)
            lines = tuple(_wanted(n, line, supplier, costs) for n, line in enumerate(body.lines))
            return p.PutPurchase(purchase_id or uuid7(), terms, lines, purchase_id is None)

        return await self.decided(key, draft)

    async def receive(
        self, key: RequestKey, purchase_id: UUID, body: ReceiptBody
    ) -> Ordered[p.PurchaseReply]:
        """Raises NotFound, PurchaseNotOpen, MoreThanOrdered, StockLimitReached, Conflict for an
        item that is not in the order."""

        async def draft() -> p.ReceivePurchase:
            if body.lines is None:
                order = await self.order(purchase_id)
                lines = tuple(
                    p.Delivered(line.item_id, line.outstanding)
                    for line in order.lines
                    if line.outstanding
                )
            else:
                lines = tuple(p.Delivered(line.item_id, line.quantity) for line in body.lines)
            return p.ReceivePurchase(purchase_id, lines, body.allow_excess)

        return await self.decided(key, draft)

    async def order(self, purchase_id: UUID) -> p.PurchaseReply:
        """From its owner. Raises NotFound."""
        return await desk.ask(self._shared, self._principal, p.GetPurchase(purchase_id))

    async def decided(
        self, key: RequestKey, wanted: Command[p.PurchaseReply] | Draft[p.PurchaseReply]
    ) -> Ordered[p.PurchaseReply]:
        """Has the owner decide. Raises the error that stands for a refusal."""
        return await desk.send(self._shared, self._principal, key, wanted)

    async def _note(
        self, tx: Transaction, action: str, before: Supplier | None, after: Supplier
    ) -> None:
        # How a person is reached is not for the log.
        changes = audit.changed(before, after, ("name", "lead_time_days", "currency", "notes"))
        await audit.record(tx, self._tenant, self._principal, action, after.id, changes)

    async def _items(self, tx: Transaction, supplier: Supplier) -> list[SuppliedItem]:
        return await stored.supplied_items(tx, supplier.id)

    async def _shown_items(
        self, tx: Transaction, supplier: Supplier
    ) -> Envelope[list[SuppliedItemBody]]:
        items = await self._items(tx, supplier)
        return Envelope(data=[SuppliedItemBody.of(item, supplier.currency) for item in items])

    async def _check_items(self, tx: Transaction, field: str, item_ids: Sequence[UUID]) -> None:
        """That each is an item which has stock of its own."""
        facts = await bundles.facts_of(tx, item_ids)
        for index, item_id in enumerate(item_ids):
            fact = facts.get(item_id)
            if fact is None:
                raise NotFound(f"There is no product {item_id} here.")
            if fact.kind not in ("simple", "variant"):
                message = f"is a {fact.kind}: name what is in it"
                if fact.kind == "parent":
                    message = "has variants: name one of them"
                raise ValidationFailed([FieldError(f"{field}[{index}].itemId", message)])

    def _now(self) -> datetime:
        return moments.of_ms(self._shared.clock.now_ms())


async def _supplier(tx: Transaction, supplier_id: UUID, *, lock: bool = False) -> Supplier:
    supplier = await stored.get_supplier(tx, supplier_id, lock=lock)
    if supplier is None:
        raise NotFound("There is no such supplier.")
    return supplier


def _differences(
    before: Sequence[SuppliedItem], after: Sequence[SuppliedItem]
) -> dict[str, tuple[str | None, str | None]]:
    """By item, what was and is said of it, where that differs; MOST_DIFFERENCES at most."""

    def said(items: Sequence[SuppliedItem]) -> dict[UUID, str]:
        return {
            one.item_id: f"sku {one.supplier_sku}, cost {one.cost_minor}, days {one.lead_time_days}"
            for one in items
        }

    had, has = said(before), said(after)
    differing = [one for one in {**had, **has} if had.get(one) != has.get(one)]
    return {str(one): (had.get(one), has.get(one)) for one in differing[:MOST_DIFFERENCES]}


def _supplied(index: int, item: SuppliedItemBody, supplier: Supplier) -> SuppliedItem:
    cost = item.cost
    field = f"items[{index}].cost"
    minor = None if cost is None else to_minor(cost, supplier.currency, field)
    return SuppliedItem(item.item_id, item.supplier_sku, minor, item.lead_time_days)


def _wanted(
    index: int,
    line: PurchaseLineBody,
    supplier: Supplier,
    costs: dict[UUID, int | None],
) -> p.WantedLine:
    if line.cost is None:
        minor = costs.get(line.item_id) or 0
    else:
        minor = to_minor(line.cost, supplier.currency, f"lines[{index}].cost")
    return p.WantedLine(line.item_id, line.quantity, minor)


def _recorded(status: int, body: CamelModel) -> Recorded:
    return Recorded(status, body.model_dump_json(by_alias=True).encode())
