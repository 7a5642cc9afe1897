"""In what form a receipt is wanted."""

from __future__ import annotations

from typing import Literal

from deployments.pos.sales.schemas import ReceiptNumberQuery


class ReceiptQuery(ReceiptNumberQuery):
    """`format` beats the Accept header; plain text if neither says."""

    format: Literal["text", "html", "pdf"] | None = None
