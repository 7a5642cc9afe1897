"""What purchasing does, by commands to the owner of purchase orders."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

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
from core import moments
from core.errors import FieldError, ValidationFailed
from core.ids import uuid7
from core.money import MAX_AMOUNT_MINOR, to_minor
from core.principal import Principal
from core.request import RequestKey
from deployments.business.places import PLACES
from deployments.inventory.purchasing.items import check_items, found_supplier
from deployments.inventory.purchasing.schemas import (
    Delivery,
    NewPurchase,
    NewPurchaseLine,
)
from deployments.kit import desk
from deployments.kit.desk import Draft
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from gateway.access import tenant_of
from store.inventory import suppliers
from store.inventory.suppliers import Supplier
from store.kit.engine import Scope


class Purchasing:
    """The purchase orders of one caller's business."""

    def __init__(self, shared: Resources, principal: Principal) -> None:
        self._shared = shared
        self._principal = principal
        self._tenant = tenant_of(principal)
        self._scope = Scope(tenant_id=self._tenant)

    async def draft(
        self, key: RequestKey, body: NewPurchase, purchase_id: UUID | None = None
    ) -> Ordered[PurchaseReply]:
        """A new draft, or another text for one. Raises NotFound, ValidationFailed on what is
        wrong about a line, PurchaseNotDraft."""

        async def draft() -> PutPurchase:
            location = await PLACES.of(self._shared).check(self._tenant, body.location_id)
            async with self._shared.db.transaction(self._scope) as tx:
                supplier = await found_supplier(tx, body.supplier_id)
                await check_items(tx, "lines", [line.product_id for line in body.lines])
                costs = {
                    item.item_id: item.cost_minor
                    for item in await suppliers.supplied_items(tx, supplier.id)
                }
            lead_ms = timedelta(days=supplier.lead_time_days) // timedelta(milliseconds=1)
            expected_ms = (
                key.arrived_ms + lead_ms
                if body.expected_at is None
                else moments.to_ms(body.expected_at)
            )
            terms = Terms(supplier.id, location, supplier.currency, body.reference, expected_ms)
            lines = tuple(_wanted(n, line, supplier, costs) for n, line in enumerate(body.lines))
            return PutPurchase(purchase_id or uuid7(), terms, lines, purchase_id is None)

        return await self.decided(key, draft)

    async def receive(
        self, key: RequestKey, purchase_id: UUID, body: Delivery
    ) -> Ordered[PurchaseReply]:
        """Raises NotFound, PurchaseNotOpen, MoreThanOrdered, StockLimitReached, Conflict for an
        item that is not in the order."""

        async def draft() -> ReceivePurchase:
            if body.lines is None:
                order = await self.order(purchase_id)
                lines = tuple(
                    Delivered(line.item_id, line.outstanding)
                    for line in order.lines
                    if line.outstanding
                )
            else:
                lines = tuple(Delivered(line.product_id, line.quantity) for line in body.lines)
            return ReceivePurchase(purchase_id, lines, body.allow_excess)

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
    supplier: Supplier,
    costs: dict[UUID, int | None],
) -> WantedLine:
    field = f"lines[{index}].cost"
    if line.cost is None:
        minor = costs.get(line.product_id) or 0
    else:
        minor = to_minor(line.cost, supplier.currency, field)
    if minor * line.quantity > MAX_AMOUNT_MINOR:
        message = f"is too large for {line.quantity} of it"
        raise ValidationFailed([FieldError(field, message)])
    return WantedLine(line.product_id, line.quantity, minor)
