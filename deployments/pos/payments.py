"""How a sale is paid."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from actors.till.model import MAX_PAYMENTS
from deployments.pos.fields import Code, Reference
from gateway.schemas import Amount, CamelModel

MAX_CARDS = 4
Token = Annotated[str | None, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class NewPayment(CamelModel):
    """`amount` as it is handed over: cash may be more than is due. A `gift_card` needs its
    `code`, a `card` a `token` of the payment provider; `external` is what another device
    settled."""

    method: Literal["cash", "card", "gift_card", "external"]
    amount: Annotated[Amount, Field(gt=0)]
    reference: Reference = None
    code: Code | None = None
    token: Token = None

    @model_validator(mode="after")
    def _complete(self) -> NewPayment:
        if (self.method == "gift_card") != (self.code is not None):
            raise ValueError("code belongs to gift_card, which needs one")
        if (self.method == "card") != (self.token is not None):
            raise ValueError("token belongs to card, which needs one")
        return self


def _few_cards(payments: list[NewPayment]) -> list[NewPayment]:
    if sum(payment.method == "card" for payment in payments) > MAX_CARDS:
        raise ValueError(f"at most {MAX_CARDS} payments may be by card")
    return payments


Payments = Annotated[
    list[NewPayment],
    Field(max_length=MAX_PAYMENTS, description=f"At most {MAX_CARDS} of them by card"),
    AfterValidator(_few_cards),
]
