"""Names of before, for the parts that still use them: sales and card payments."""

from __future__ import annotations

from deployments.pos.card_payments.schemas import CardRefundQuery
from deployments.pos.card_payments.schemas import NewSettlement as SettleBody
from deployments.pos.gift_cards.schemas import NewGiftCardSale as GiftCardBody
from deployments.pos.payments import NewPayment as PaymentBody
from deployments.pos.sales.schemas import (
    MAX_LINE_QUANTITY,
    Basket,
    ReceiptNumberQuery,
    SaleQuery,
    Units,
)
from deployments.pos.sales.schemas import NewDiscount as DiscountBody
from deployments.pos.sales.schemas import NewLine as LineBody
from deployments.pos.sales.schemas import NewSale as SaleBody

__all__ = [
    "MAX_LINE_QUANTITY",
    "Basket",
    "CardRefundQuery",
    "DiscountBody",
    "GiftCardBody",
    "LineBody",
    "PaymentBody",
    "ReceiptNumberQuery",
    "SaleBody",
    "SaleQuery",
    "SettleBody",
    "Units",
]
