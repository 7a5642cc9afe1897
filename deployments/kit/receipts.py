"""Receipts of order, for the business's own callers: shoppers don't get to count its sales."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import Response

from actors.runtime.wire import Receipt

RECEIPT_HEADER = "X-Holdfast-Receipt"

# For the `responses` of a route.
RECEIPT: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            RECEIPT_HEADER: {
                "description": "Order of decision: `aggregate; seq=n; epoch=n`, at most 20",
                "schema": {"type": "string"},
            }
        }
    }
}


def receipt_header(receipts: Iterable[Receipt]) -> str:
    """`aggregate; seq=n; epoch=n` for each, separated by commas."""
    return ", ".join(f"{one.aggregate}; seq={one.sequence}; epoch={one.epoch}" for one in receipts)


def set_receipt(response: Response, receipts: Iterable[Receipt]) -> None:
    response.headers[RECEIPT_HEADER] = receipt_header(receipts)
