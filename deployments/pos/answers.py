"""Names of before, for the parts that still use them: sales and card payments."""

from __future__ import annotations

from deployments.pos.card_payments.schemas import CardChargeOut as CardOut
from deployments.pos.card_payments.schemas import CardPaymentOut as PendingOut
from deployments.pos.card_payments.schemas import CardRefundOut
from deployments.pos.sales.schemas import QuoteOut, SaleOut, SaleRow
from deployments.pos.sales.schemas import ShortageOut as PartsOut

__all__ = ["CardOut", "CardRefundOut", "PartsOut", "PendingOut", "QuoteOut", "SaleOut", "SaleRow"]
