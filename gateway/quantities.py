"""Quantities as bodies give them and answers show them: numbers of units, exact on the way in (see
`gateway.json_body`) and on the way out. How many decimals one may have is its product's to say:
`core.quantities.to_steps` makes steps of it, and refuses what the product is not sold by."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from core.quantities import MAX_DECIMALS, MAX_DIGITS, decimals_of

MAX_QUANTITY = 1_000_000
MAX_LINE_QUANTITY = 100_000
MAX_ON_HAND = 2_000_000_000


def quantity_number(value: Any) -> Any:
    """A quantity as it was written, never a float: whole ones as int, others as Decimal."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, Decimal) or not value.is_finite():
        raise ValueError("must be a number")
    # Bounds come before any arithmetic: 1E+999999999 must not be expanded.
    if value and value.adjusted() >= MAX_DIGITS:
        raise ValueError("is too large")
    if value and decimals_of(value) > MAX_DECIMALS:
        raise ValueError(f"must have at most {MAX_DECIMALS} decimals")
    return int(value) if value == value.to_integral_value() else value


def _shown(value: int | Decimal) -> int | float:
    return value if isinstance(value, int) else float(value)


def number_schema(**bounds: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "number", "multipleOf": 10**-MAX_DECIMALS, **bounds})


Number = Annotated[
    int | Decimal, BeforeValidator(quantity_number), PlainSerializer(_shown, when_used="json")
]
# What moves something.
Quantity = Annotated[
    Number,
    Field(gt=0, le=MAX_QUANTITY),
    number_schema(exclusiveMinimum=0, maximum=MAX_QUANTITY),
]
# What may be nothing, such as a threshold.
SomeQuantity = Annotated[
    Number, Field(ge=0, le=MAX_QUANTITY), number_schema(minimum=0, maximum=MAX_QUANTITY)
]
SignedQuantity = Annotated[
    Number,
    Field(ge=-MAX_QUANTITY, le=MAX_QUANTITY),
    number_schema(minimum=-MAX_QUANTITY, maximum=MAX_QUANTITY),
]
# What one line of a basket may have.
LineQuantity = Annotated[
    Number,
    Field(gt=0, le=MAX_LINE_QUANTITY),
    number_schema(exclusiveMinimum=0, maximum=MAX_LINE_QUANTITY),
]
# What is on hand.
OnHand = Annotated[
    Number, Field(ge=0, le=MAX_ON_HAND), number_schema(minimum=0, maximum=MAX_ON_HAND)
]
SignedOnHand = Annotated[
    Number,
    Field(ge=-MAX_ON_HAND, le=MAX_ON_HAND),
    number_schema(minimum=-MAX_ON_HAND, maximum=MAX_ON_HAND),
]
# In an answer: pieces as an int, or else an exact number (`core.quantities.from_steps`).
QuantityOut = Annotated[
    int | Decimal,
    PlainSerializer(_shown, when_used="json"),
    WithJsonSchema({"type": "number"}),
]
