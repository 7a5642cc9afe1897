"""Money is exact: decimals outside, integer minor units inside, never a float between.

Exponents (digits after the point) are those of ISO 4217 (`core.currencies`).
"""

from __future__ import annotations

from decimal import Decimal

from iso4217 import Currency

from core.currencies import DIGITS
from core.errors import FieldError, ValidationFailed

MAX_AMOUNT_MINOR = 10**13 - 1


def exponent(currency: str) -> int:
    """Digits that `currency` (ISO 4217 code, upper case) has after the point, whether it is still
    in use or not.

    Raises ValidationFailed on `currency` for a code that never was money.
    """
    digits = DIGITS.get(currency)
    if digits is None:
        raise _no_currency("currency")
    return digits


def check_in_use(currency: str, field: str = "currency") -> None:
    """Raises ValidationFailed on `field` for a code that is not money in use. For what somebody
    chooses anew; what is stored stays as it is."""
    try:
        in_use = Currency(currency).exponent is not None
    except ValueError:
        in_use = False
    if not in_use or currency not in DIGITS:
        raise _no_currency(field)


def _no_currency(field: str) -> ValidationFailed:
    return ValidationFailed([FieldError(field, "is not an ISO 4217 currency code")])


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


def line_minor(price_minor: int, steps: int, decimals: int = 0) -> int:
    """What so many steps of 10^-decimals units cost at a price of one unit: rounded once, half away
    from zero. Nothing is rounded where there are no decimals. This is the one rule for the amount
    of a line. Neither number is negative."""
    if not decimals:
        return price_minor * steps
    unit: int = 10**decimals
    return (2 * price_minor * steps + unit) // (2 * unit)
