"""Names of before, for the parts that still use them: sales and card payments."""

from __future__ import annotations

from fastapi import Response

from deployments.kit.receipts import DESCRIBED as RECEIPT
from deployments.kit.receipts import Receipts, set_receipt
from deployments.kit.routes import Key, Manager
from deployments.kit.routes import Staff as Till
from deployments.pos.parameters import PaymentId, SaleId
from deployments.pos.parameters import cashier_filter as own_eyes


def receipt(response: Response, receipts: Receipts) -> None:
    set_receipt(response, receipts)


__all__ = ["RECEIPT", "Key", "Manager", "PaymentId", "SaleId", "Till", "own_eyes", "receipt"]
