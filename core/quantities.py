"""Quantities are exact: numbers of units outside, whole steps inside, never a float between.

A product with `decimals` is counted in steps of 10^-decimals of its unit: 0.35 kg with 3 decimals
are 350 steps. Pieces have no decimals, so that a step of them is a piece.
"""

from __future__ import annotations

from decimal import Decimal

from core.errors import FieldError, ValidationFailed

MAX_DECIMALS = 3
# The unit of what is neither weighed nor measured.
PIECE = "piece"
# No quantity that a body may give has more digits before the point.
MAX_DIGITS = 12


def to_steps(quantity: int | Decimal, decimals: int, field: str = "quantity") -> int:
    """A number of units to steps, exactly: 0.35 with 3 decimals is 350.

    Raises ValidationFailed on `field` for more decimals than the product has, and for what is no
    number or too large for any quantity.
    """
    if isinstance(quantity, int):
        return quantity * 10**decimals if decimals else quantity
    if not quantity.is_finite():
        raise ValidationFailed([FieldError(field, "is not a number")])
    # The bound comes before any arithmetic: 1E+999999999 must not be expanded.
    if quantity and quantity.adjusted() >= MAX_DIGITS:
        raise ValidationFailed([FieldError(field, "is too large")])
    if quantity and decimals_of(quantity) > decimals:
        message = f"has more than the {decimals} decimals that this product is sold by"
        if not decimals:
            message = "must be a whole number: this product is sold by the piece"
        raise ValidationFailed([FieldError(field, message)])
    return int(quantity.scaleb(decimals))


def from_steps(steps: int, decimals: int) -> int | Decimal:
    """Steps as units, exactly: 350 with 3 decimals is 0.350; pieces are whole."""
    return Decimal(steps).scaleb(-decimals) if decimals else steps


def steps_of(quantity: int | Decimal) -> tuple[int, int]:
    """A number of units as whole steps, and how many decimals these have."""
    if isinstance(quantity, int):
        return quantity, 0
    decimals = decimals_of(quantity)
    return int(quantity.scaleb(decimals)), decimals


def shown_steps(steps: int, decimals: int) -> int | float:
    """The same as JSON has it: the number whose shortest form is what was meant (a double holds the
    15 digits of the largest quantity)."""
    return steps / 10**decimals if decimals else steps


def decimals_of(number: Decimal) -> int:
    """How many decimals a finite number has, without zeros at the end."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -int(exponent))
