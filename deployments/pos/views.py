"""Names of before, for the parts that still use them."""

from __future__ import annotations

from deployments.pos.sales.shapes import quote_out, sale_out, taxes_of

__all__ = ["quote_out", "sale_out", "taxes_of"]
