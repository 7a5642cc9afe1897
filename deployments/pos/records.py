"""Names of before, for the parts that still use them."""

from __future__ import annotations

from deployments.pos.sales.shapes import sale_of as sale
from deployments.pos.sales.shapes import sale_row

__all__ = ["sale", "sale_row"]
