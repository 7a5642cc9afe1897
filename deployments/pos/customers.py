"""To whom is sold: customers as a till looks them up, and whether they pay tax on a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from core.errors import FieldError, NotFound
from deployments.kit.resources import Resources
from store.crm import customers
from store.crm.customers import Buyer
from store.kit.engine import Scope, Transaction


async def buyer(
    shared: Resources, tenant_id: UUID, customer_id: UUID | None, field: str = "customerId"
) -> Buyer | None:
    """The customer of a sale, if it names one. Raises NotFound, naming the field."""
    if customer_id is None:
        return None
    return known(await buyers(shared, tenant_id, [customer_id]), customer_id, field)


async def check_customer(tx: Transaction, customer_id: UUID | None, field: str) -> None:
    """Raises NotFound, naming the field, for one that is not there; `tx` is of its business."""
    if customer_id is not None and await customers.rows.get(tx, customer_id) is None:
        known({}, customer_id, field)


async def buyers(
    shared: Resources, tenant_id: UUID, ids: Iterable[UUID], *, deleted: bool = False
) -> dict[UUID, Buyer]:
    """See `customers.buyers`."""
    async with shared.db.lookup(Scope(tenant_id)) as lookup:
        return await customers.buyers(lookup, ids, deleted=deleted)


def known(found: Mapping[UUID, Buyer], customer_id: UUID, field: str = "customerId") -> Buyer:
    """Raises NotFound, naming the field."""
    if customer_id not in found:
        named = FieldError(field, "is no customer here")
        raise NotFound("There is no such customer here.", errors=[named])
    return found[customer_id]


def exemption(buyer: Buyer | None, at_ms: int, time_zone: str) -> str | None:
    """Why a customer pays no tax at a moment where that zone's days hold, as receipts say it; None
    if tax is paid."""
    if buyer is None or not buyer.tax_exempt:
        return None
    day = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(time_zone)).date()
    if buyer.tax_exempt_until is not None and day > buyer.tax_exempt_until:
        return None
    return ", ".join(filter(None, (buyer.tax_exempt_reason, buyer.tax_exempt_certificate)))
