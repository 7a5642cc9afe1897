"""What purchasing does, by commands to the owner of purchase orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import starmap
from uuid import UUID

from msgspec.structs import replace

from actors.messages import Command
from actors.purchasing.model import (
    Delivered,
    GetPurchase,
    PurchaseReply,
    PutPurchase,
    ReceivePurchase,
    Terms,
    WantedLine,
)
from actors.stock.model import Measure, Measures
from core import moments
from core.errors import FieldError, ValidationFailed
from core.ids import uuid7
from core.money import MAX_AMOUNT_MINOR, line_minor, to_minor
from core.principal import Principal
from core.quantities import to_steps
from core.request import RequestKey
from deployments.business.places import PLACES
from deployments.inventory.purchasing.items import check_items, found_supplier
from deployments.inventory.purchasing.schemas import (
    Delivery,
    NewPurchase,
    NewPurchaseLine,
    PurchaseChanges,
)
from deployments.kit import desk
from deployments.kit.desk import Draft
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from gateway.access import tenant_of
from store.inventory import suppliers
from store.inventory.suppliers import Supplier
from store.kit.engine import Scope, Transaction


class Purchasing:
    """The purchase orders of one caller's business."""

    def __init__(self, shared: Resources, principal: Principal) -> None:
        self._shared = shared
        self._principal = principal
        self._tenant = tenant_of(principal)
        self._scope = Scope(tenant_id=self._tenant)

    async def draft(self, key: RequestKey, body: NewPurchase) -> Ordered[PurchaseReply]:
        """A new draft. Raises NotFound, ValidationFailed on what is wrong about a line."""

        async def draft() -> PutPurchase:
            location = await PLACES.of(self._shared).check(self._tenant, body.location_id)
            async with self._shared.db.transaction(self._scope) as tx:
                supplier = await found_supplier(tx, body.supplier_id)
                lines, measures = await _lines(tx, body.lines, supplier, supplier.currency)
            lead_ms = timedelta(days=supplier.lead_time_days) // timedelta(milliseconds=1)
            expected_ms = (
                key.arrived_ms + lead_ms
                if body.expected_at is None
                else moments.to_ms(body.expected_at)
            )
            terms = Terms(supplier.id, location, supplier.currency, body.reference, expected_ms)
            return PutPurchase(uuid7(), terms, lines, True, measures=measures)

        return await self.decided(key, draft)

    async def change(
        self, key: RequestKey, purchase_id: UUID, body: PurchaseChanges
    ) -> Ordered[PurchaseReply]:
        """Another text for a draft. What the body leaves out is the owner's to keep, as it is by
        then. Raises as `draft`, and PurchaseNotDraft, PurchaseChanged."""
        given = body.model_fields_set

        async def draft() -> PutPurchase:
            order = await self.order(purchase_id)
            terms, measures = order.terms, _measures(order)
            lines = tuple(
                WantedLine(line.item_id, line.quantity, line.cost_minor) for line in order.lines
            )
            if "location_id" in given:
                location = await PLACES.of(self._shared).check(self._tenant, body.location_id)
                terms = replace(terms, location_id=location)
            if given & {"supplier_id", "lines"}:
                async with self._shared.db.transaction(self._scope) as tx:
                    supplier_id = body.supplier_id if "supplier_id" in given else terms.supplier_id
                    supplier = await found_supplier(tx, supplier_id)
                    if "supplier_id" in given:
                        terms = replace(terms, supplier_id=supplier.id, currency=supplier.currency)
                    if "lines" in given:
                        lines, measures = await _lines(tx, body.lines, supplier, terms.currency)
                    elif terms.currency != order.terms.currency:
                        message = "must be given with a supplier of another currency"
                        raise ValidationFailed([FieldError("lines", message)])
            if "reference" in given:
                terms = replace(terms, reference=body.reference)
            if "expected_at" in given:
                at = body.expected_at
                terms = replace(terms, expected_at_ms=None if at is None else moments.to_ms(at))
            keep = tuple(field for field, name in _KEPT.items() if name not in given)
            return PutPurchase(purchase_id, terms, lines, False, keep, measures)

        return await self.decided(key, draft)

    async def receive(
        self, key: RequestKey, purchase_id: UUID, body: Delivery
    ) -> Ordered[PurchaseReply]:
        """Raises NotFound, PurchaseNotOpen, MoreThanOrdered, StockLimitReached, Conflict for an
        item that is not in the order."""

        async def draft() -> ReceivePurchase:
            order = await self.order(purchase_id)
            if body.lines is None:
                lines = tuple(
                    Delivered(line.item_id, line.outstanding)
                    for line in order.lines
                    if line.outstanding
                )
            else:
                # One that is placed is measured as its goods are, permanently.
                decimals = {line.item_id: line.decimals for line in order.lines}
                lines = tuple(
                    Delivered(
                        line.product_id,
                        to_steps(
                            line.quantity,
                            decimals.get(line.product_id, 0),
                            f"lines[{number}].quantity",
                        ),
                    )
                    for number, line in enumerate(body.lines)
                )
            return ReceivePurchase(purchase_id, lines, body.allow_excess, _measures(order))

        return await self.decided(key, draft)

    async def order(self, purchase_id: UUID) -> PurchaseReply:
        """From its owner. Raises NotFound."""
        return await desk.ask(self._shared, self._principal, GetPurchase(purchase_id))

    async def decided(
        self, key: RequestKey, wanted: Command[PurchaseReply] | Draft[PurchaseReply]
    ) -> Ordered[PurchaseReply]:
        """Has the owner decide. Raises the error that stands for a refusal."""
        return await desk.send(self._shared, self._principal, key, wanted)


def _wanted(
    index: int,
    line: NewPurchaseLine,
    decimals: int,
    currency: str,
    costs: dict[UUID, int | None],
) -> WantedLine:
    """Raises ValidationFailed."""
    field = f"lines[{index}].cost"
    if line.cost is None:
        minor = costs.get(line.product_id) or 0
    else:
        minor = to_minor(line.cost, currency, field)
    steps = to_steps(line.quantity, decimals, f"lines[{index}].quantity")
    if line_minor(minor, steps, decimals) > MAX_AMOUNT_MINOR:
        message = f"is too large for {line.quantity} of it"
        raise ValidationFailed([FieldError(field, message)])
    return WantedLine(line.product_id, steps, minor)


# What an order says, by the field of a body that changes it.
_KEPT = {
    "supplier_id": "supplier_id",
    "currency": "supplier_id",
    "location_id": "location_id",
    "reference": "reference",
    "expected_at_ms": "expected_at",
    "lines": "lines",
}


async def _lines(
    tx: Transaction, lines: Sequence[NewPurchaseLine], supplier: Supplier, currency: str
) -> tuple[tuple[WantedLine, ...], Measures]:
    """What is asked of a supplier, by default for what it takes, and how it is measured. Raises
    NotFound, ValidationFailed on what is wrong about a line."""
    facts = await check_items(tx, "lines", [line.product_id for line in lines])
    costs: dict[UUID, int | None] = {}
    if supplier.currency == currency:
        supplied = await suppliers.supplied_items(tx, supplier.id)
        costs = {item.item_id: item.cost_minor for item in supplied}
    wanted = tuple(
        _wanted(index, line, facts[line.product_id].decimals, currency, costs)
        for index, line in enumerate(lines)
    )
    measures = ((item_id, fact.decimals) for item_id, fact in facts.items() if fact.decimals)
    return wanted, tuple(starmap(Measure, measures))


def _measures(order: PurchaseReply) -> Measures:
    return tuple(Measure(line.item_id, line.decimals) for line in order.lines if line.decimals)
