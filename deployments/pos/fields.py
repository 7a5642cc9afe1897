"""What bodies, queries and answers of the till have in common. Money is in major units, exact."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from deployments.pos.gift_cards.codes import MAX_LENGTH, MIN_LENGTH, MIN_NEW_CHARACTERS, weakness
from gateway.schemas import CamelModel, Sum

# A row by the names of its columns; the store's own type stays in its room.
Row = Any

Reason = Annotated[str | None, Field(min_length=1, max_length=200)]
Reference = Annotated[str | None, Field(min_length=1, max_length=200)]
Code = Annotated[
    str,
    Field(
        min_length=MIN_LENGTH,
        max_length=MAX_LENGTH,
        pattern=r"^[0-9A-Za-z -]+$",
        description="Of a gift card; hyphens, blanks and case do not matter",
    ),
]


def _strong(code: str) -> str:
    problem = weakness(code)
    if problem is not None:
        raise ValueError(problem)
    return code


NewCode = Annotated[
    str,
    Field(
        min_length=MIN_NEW_CHARACTERS,
        max_length=MAX_LENGTH,
        pattern=r"^[0-9A-Za-z -]+$",
        description=f"Of a new gift card: at least {MIN_NEW_CHARACTERS} letters and digits",
    ),
    AfterValidator(_strong),
]


class TaxOut(CamelModel):
    """`net` is what is taxed, without the tax."""

    tax_percent: float
    net: Sum
    tax: Sum
