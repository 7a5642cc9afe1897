"""Receipts of order, for the business's own callers: shoppers don't get to count its sales."""

from __future__ import annotations

from collections.abc import Iterable

from actors.runtime.wire import Receipt

RECEIPT_HEADER = "X-Holdfast-Receipt"


def receipt_header(receipts: Iterable[Receipt]) -> str:
    """`aggregate; seq=n; epoch=n` for each, separated by commas."""
    return ", ".join(f"{one.aggregate}; seq={one.sequence}; epoch={one.epoch}" for one in receipts)
