"""A business's currency: fixed once there are prices in it."""

from __future__ import annotations

from uuid import UUID

from core.errors import Conflict, FieldError
from core.money import check_in_use
from store.business import profile
from store.kit.engine import Transaction


class CurrencyFixed(Conflict):
    code, title = "currency_fixed", "Currency fixed"
    default_detail = "There are products with prices; the currency cannot change any more."

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("currency", "is fixed once there are products")])


async def check_currency(tx: Transaction, tenant_id: UUID, currency: str) -> None:
    """Raises ValidationFailed for what is no currency, and CurrencyFixed."""
    check_in_use(currency)
    if await profile.has_goods(tx, tenant_id):
        raise CurrencyFixed
