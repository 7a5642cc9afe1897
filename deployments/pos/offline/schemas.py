"""What a register says of the sales that it made without a network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.json_schema import SkipJsonSchema

from actors.till.model import MAX_PAYMENTS, MAX_SALE_LINES
from core.errors import FieldError
from core.money import MAX_AMOUNT_MINOR
from deployments.pos.fields import Reference
from deployments.pos.sales.schemas import Units
from gateway.errors import MAX_ROW_ERRORS, Problem, field_errors
from gateway.fields import LocationId, TaxPercent
from gateway.schemas import (
    MAX_ITEM_CODE,
    Amount,
    CamelModel,
    Moment,
    composed,
    exact_number,
)

MAX_UPLOADED = 100


def _composable(code: str) -> str:
    composed(code)
    return code


TypedCode = Annotated[
    str, Field(min_length=1, max_length=MAX_ITEM_CODE), AfterValidator(_composable)
]


# More or less, in major units; exact as amounts are.
SignedAmount = Annotated[
    Decimal,
    BeforeValidator(exact_number),
    Field(ge=-MAX_AMOUNT_MINOR, le=MAX_AMOUNT_MINOR),
    PlainSerializer(float, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "minimum": -MAX_AMOUNT_MINOR, "maximum": MAX_AMOUNT_MINOR}),
]


class NewOfflineLine(Units):
    """A line as it was charged: prices of then, not of today. `discount` is money off the whole
    line, its share of a discount on the sale included. `total` is what was paid: quantity
    x unitPrice - discount, plus `tax` where prices do not include it."""

    # As they were typed: what was kept is compared with that, and this is how it was kept.
    sku: TypedCode | None = None
    barcode: TypedCode | None = None
    unit_price: Amount
    discount: Amount = Decimal(0)
    tax_percent: TaxPercent = Decimal(0)
    tax: Amount = Decimal(0)
    total: Amount

    @property
    def named(self) -> tuple[str, str, object]:
        field, kind, name = super().named
        return field, kind, composed(name) if isinstance(name, str) else name


class NewOfflinePayment(CamelModel):
    """`amount` as it was handed over. `external` is what another device settled: name its slip in
    `reference`. Cards and gift cards need a network."""

    method: Literal["cash", "external"]
    amount: Annotated[Amount, Field(gt=0)]
    reference: Reference = None


class NewOfflineSale(CamelModel):
    """A sale that has happened. `clientSaleId` is the register's own name for it and its identity
    permanently: with the same content it is answered with the sale that it made the first time,
    with another it is refused. `total` is what was due, tips included; `cashRounding` is how much
    more was taken in cash, because there are no smaller coins, or, below 0, how much less."""

    client_sale_id: UUID
    occurred_at: Annotated[
        Moment, Field(description="When it was sold, in the last 30 days; 5 minutes ahead at most")
    ]
    register_id: UUID
    location_id: LocationId = None
    offline_number: Annotated[
        str | None,
        Field(min_length=1, max_length=64, description="On the paper that the register printed"),
    ] = None
    lines: Annotated[list[NewOfflineLine], Field(min_length=1, max_length=MAX_SALE_LINES)]
    tips: Amount = Decimal(0)
    total: Amount
    cash_rounding: SignedAmount = Decimal(0)
    prices_include_tax: bool
    payments: Annotated[list[NewOfflinePayment], Field(max_length=MAX_PAYMENTS)]
    customer_id: UUID | None = None
    cashier_id: Annotated[
        UUID | None, Field(description="A member who sold it, if not who uploads it")
    ] = None
    note: Annotated[str | None, Field(max_length=500)] = None

    def digest(self) -> bytes:
        """Of all that it says; the same however numbers, times and defaults are written, and
        whatever fields later versions add."""
        said = self.model_dump(mode="json", exclude_defaults=True)
        # Not `moments.to_ms`: what was kept is compared with, and this is how it was made.
        said["occurred_at"] = int(self.occurred_at.timestamp() * 1000)
        for line in said["lines"]:
            if "tax_percent" in line:  # It was a fraction.
                line["tax_rate"] = float(Decimal(line.pop("tax_percent")) / 100)
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry that is no sale, and why not."""

    client_sale_id: UUID | None
    errors: tuple[FieldError, ...]


def _judged_alone(raw: Any, _: Any) -> NewOfflineSale | Unreadable:
    try:
        return NewOfflineSale.model_validate(raw)
    except ValidationError as error:
        return Unreadable(
            _named(raw), tuple(field_errors(error.errors(include_input=False), MAX_ROW_ERRORS))
        )


def _named(raw: Any) -> UUID | None:
    """The name of an entry, if it has at least that."""
    try:
        return UUID(raw["clientSaleId"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


Entry = Annotated[NewOfflineSale | SkipJsonSchema[Unreadable], WrapValidator(_judged_alone)]


class NewOfflineSales(CamelModel):
    """Sales are judged one by one, so that a bad one does not keep the others out."""

    sales: Annotated[list[Entry], Field(min_length=1, max_length=MAX_UPLOADED)]


class OfflineResultOut(CamelModel):
    """What became of the sale at the same place. `repeated`: it was in already, once and for all;
    `rejected`: it is not in, and `problem` says why."""

    client_sale_id: UUID | None
    status: Literal["recorded", "repeated", "rejected"]
    sale_id: UUID | None = None
    receipt_number: int | None = None
    shift_id: UUID | None = None
    problem: Problem | None = None


class OfflineResultsOut(CamelModel):
    recorded: int
    repeated: int
    rejected: int
    sales: list[OfflineResultOut]
