"""Receipts of order, for the business's own callers: shoppers don't get to count its sales."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from fastapi import Response

from actors.runtime.wire import Receipt

T = TypeVar("T")
S = TypeVar("S")
T_co = TypeVar("T_co", covariant=True)

Receipts = tuple[Receipt, ...]
RECEIPT_HEADER = "X-Holdfast-Receipt"
DESCRIBED: dict[str, Any] = {
    RECEIPT_HEADER: {
        "description": "Order of decision: `aggregate; seq=n; epoch=n`, at most 20",
        "schema": {"type": "string"},
    }
}
# For the `responses` of a route.
RECEIPT: dict[int | str, dict[str, Any]] = {200: {"headers": DESCRIBED}}


class Ordered(NamedTuple, Generic[T_co]):
    """What an owner replied, with receipts of the order in which it decided. A route that returns
    `Ordered[X]` answers X, and the receipts in a header."""

    reply: T_co
    receipts: Receipts = ()

    def to(self, shape: Callable[[T_co], S]) -> Ordered[S]:
        """The same decision, with its reply in another shape."""
        return Ordered(shape(self.reply), self.receipts)


def receipt_header(receipts: Iterable[Receipt]) -> str:
    """`aggregate; seq=n; epoch=n` for each, separated by commas."""
    return ", ".join(
        f"{receipt.aggregate}; seq={receipt.sequence}; epoch={receipt.epoch}"
        for receipt in receipts
    )


def set_receipt(response: Response, receipts: Iterable[Receipt]) -> None:
    """No header where nothing was decided."""
    if text := receipt_header(receipts):
        response.headers[RECEIPT_HEADER] = text
