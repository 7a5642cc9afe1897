"""Card payments and the refunds of them as the API answers them."""

from __future__ import annotations

from core.money import from_minor
from deployments.pos.card_payments.schemas import CardChargeOut, CardPaymentOut, CardRefundOut
from deployments.pos.fields import Row
from store.pos import card_refunds
from store.pos.cards import CardPayment


def card_payment_out(payment: CardPayment) -> CardPaymentOut:
    ended = payment.status in ("completed", "declined", "refunded")
    return CardPaymentOut(
        id=payment.id,
        status=payment.status if ended else "pending",
        sale_id=payment.sale_id if payment.status == "completed" else None,
        problem=payment.problem,
        cards=[
            CardChargeOut(
                payment=charge.number + 1,
                amount=from_minor(charge.amount_minor, payment.currency),
                status=charge.status,
            )
            for charge in payment.charges
        ],
    )


def card_refund_out(row: Row) -> CardRefundOut:
    return CardRefundOut(
        id=row["id"],
        return_id=row["return_id"],
        status=card_refunds.state_of(row),
        amount=from_minor(row["amount_minor"], row["currency"]),
        currency=row["currency"],
        reference=row["charge_id"],
        attempts=row["attempts"],
        problem=row["problem"],
        created_at=row["created_at"],
        refunded_at=row["refunded_at"],
        settled_at=row["settled_at"],
        settled_by=row["settled_by"],
        note=row["note"],
    )
