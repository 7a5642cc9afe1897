"""A business's currency: fixed once there are prices in it."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from core.errors import Conflict, FieldError, ValidationFailed
from core.money import check_in_use, to_minor
from store.business import profile
from store.kit.engine import Transaction

MAX_STEP_MINOR = 100_000


class CurrencyFixed(Conflict):
    code, title = "currency_fixed", "Currency fixed"
    default_detail = "There are products with prices; the currency cannot change any more."

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("currency", "is fixed once there are products")])


def cash_rounding(step: Decimal | None, currency: str) -> int | None:
    """What cash is rounded to multiples of, in minor units. Raises ValidationFailed for what no
    coin is worth."""
    if step is None:
        return None
    step_minor = to_minor(step, currency, "cashRounding")
    if step_minor > MAX_STEP_MINOR or str(step_minor).rstrip("0") not in ("", "1", "2", "5"):
        raise ValidationFailed([FieldError("cashRounding", "is no coin, such as 0.05, 0.1 or 1")])
    return step_minor


async def check_currency(tx: Transaction, tenant_id: UUID, currency: str) -> None:
    """Raises ValidationFailed for what is no currency, and CurrencyFixed."""
    check_in_use(currency)
    if await profile.has_goods(tx, tenant_id):
        raise CurrencyFixed
