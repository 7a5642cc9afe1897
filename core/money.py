"""Money is exact: decimals outside, integer minor units inside, never a float between.

Exponents (digits after the point) are those of ISO 4217.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from iso4217 import Currency

from core.errors import FieldError, ValidationFailed

MAX_AMOUNT_MINOR = 10**13 - 1


@lru_cache(maxsize=512)
def exponent(currency: str) -> int:
    """Digits that `currency` (ISO 4217 code, upper case) has after the point.

    Raises ValidationFailed on `currency` for a code that is not money in use.
    """
    try:
        digits = Currency(currency).exponent
    except ValueError:
        digits = None
    if digits is None:
        raise ValidationFailed([FieldError("currency", "is not an ISO 4217 currency code")])
    return digits


def to_minor(amount: Decimal, currency: str, field: str = "price") -> int:
    """`amount` in major units to minor units, exactly: 19.99 USD is 1999.

    Raises ValidationFailed on `field` for more decimals than the currency has, for what is
    not finite, and for more than MAX_AMOUNT_MINOR.
    """
    digits = exponent(currency)
    if not amount.is_finite():
        raise ValidationFailed([FieldError(field, "is not a number")])
    # The bound comes before any arithmetic: 1E+999999999 must not be expanded.
    if amount and amount.adjusted() + digits > 13:
        raise ValidationFailed([FieldError(field, "is too large")])
    if amount and amount.normalize().as_tuple().exponent < -digits:  # type: ignore[operator]
        raise ValidationFailed(
            [FieldError(field, f"has more decimals than {currency} has ({digits})")]
        )
    minor = int(amount.scaleb(digits))
    if abs(minor) > MAX_AMOUNT_MINOR:
        raise ValidationFailed([FieldError(field, "is too large")])
    return minor


def from_minor(amount_minor: int, currency: str) -> Decimal:
    """Minor units to major units: 1999 USD is Decimal('19.99')."""
    return Decimal(amount_minor).scaleb(-exponent(currency))
