"""Card payments that wait, and refunds that the provider still has to make, or will not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Response

from actors.families import commerce
from actors.till import messages as t
from core.errors import NotFound
from core.money import from_minor
from core.principal import Principal, Role
from core.request import RequestKey
from deployments.kit import desk
from deployments.kit.resources import Resources, Shared
from deployments.kit.router import Router
from deployments.pos import answers as a
from deployments.pos import schemas as s
from deployments.pos.card_payments.service import CARDS
from deployments.pos.errors import CardPaymentCompleted, NotYourShift, RefundNotDead
from deployments.pos.router import Key, Manager, PaymentId, Till
from deployments.pos.sales.routes import pending_out
from gateway.access import tenant_of
from gateway.answers import recorded, response
from gateway.errors import responses
from gateway.schemas import Envelope, Page, page_of
from store.kit import audit
from store.kit.commands import Recorded, answered, once
from store.kit.engine import Scope, Transaction
from store.pos import card_refunds
from store.pos.cards import CardPayment

router = Router()

RefundId = Annotated[UUID, Path(alias="refundId")]


@router.post(
    "/card-payments/{paymentId}/abandon",
    summary="Abandon a card payment",
    response_model=Envelope[a.PendingOut],
    responses=responses(NotFound, NotYourShift, CardPaymentCompleted),
)
async def abandon_card_payment(
    shared: Shared, principal: Till, key: Key, payment_id: PaymentId
) -> Response:
    """Calls off a card payment whose outcome is not known: no sale comes of it any more, and what
    the provider may say of it later is given back. So the customer may pay in another way at once.
    `pending` afterwards means that the provider has not confirmed yet that it keeps no money.

    A cashier may do so for what they began, and at the register whose shift they opened.
    """
    tenant_id = tenant_of(principal)
    async with shared.db.transaction(Scope(tenant_id)) as tx:
        before = await answered(tx, key)
    if before is not None:
        return response(before)
    payment = await CARDS.of(shared).get(tenant_id, payment_id)
    if payment is None:
        raise NotFound("There is no such card payment here.")
    await _check_right(shared, principal, payment)

    async def note(tx: Transaction) -> None:
        await audit.record(tx, tenant_id, principal, "card_payment.abandoned", payment.id)

    ended = await CARDS.of(shared).abandon(payment, note)
    if ended.status == "completed":
        raise CardPaymentCompleted(extra={"saleId": str(ended.sale_id)})
    answer = recorded(200, Envelope(data=pending_out(ended)))

    async def work() -> Recorded:
        return answer

    async with shared.db.transaction(Scope(tenant_id)) as tx:
        return response(await once(tx, tenant_id, key, work))


@router.get("/card-refunds", summary="List card refunds that failed")
async def list_card_refunds(
    shared: Shared, principal: Manager, query: Annotated[s.CardRefundQuery, Query()]
) -> Page[a.CardRefundOut]:
    """What returns owe to cards, latest first. `dead` is what the provider refused so often that
    it is not asked any more: retry it, or settle it by hand."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        found = await card_refunds.listed(tx, query.status, query.span)
    return page_of(found.map(_refund_out))


@router.post(
    "/card-refunds/{refundId}/retry",
    summary="Retry a card refund",
    response_model=Envelope[a.CardRefundOut],
    responses=responses(NotFound, RefundNotDead),
)
async def retry_card_refund(
    shared: Shared, principal: Manager, key: Key, refund_id: RefundId
) -> Response:
    """Has the provider asked again for a refund that was given up."""

    async def act(tx: Transaction) -> Any:
        return await card_refunds.retry(tx, refund_id)

    return await _acted(shared, principal, key, refund_id, "card_refund.retried", act)


@router.post(
    "/card-refunds/{refundId}/settle",
    summary="Settle a card refund by hand",
    response_model=Envelope[a.CardRefundOut],
    responses=responses(NotFound, RefundNotDead),
)
async def settle_card_refund(
    shared: Shared, principal: Manager, key: Key, refund_id: RefundId, body: s.SettleBody
) -> Response:
    """Notes that the customer got the money of a refund that was given up in another way."""

    async def act(tx: Transaction) -> Any:
        return await card_refunds.settle(tx, refund_id, principal.id, body.note)

    return await _acted(shared, principal, key, refund_id, "card_refund.settled", act)


async def _acted(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    refund_id: UUID,
    action: str,
    act: Callable[[Transaction], Awaitable[Any]],
) -> Response:
    tenant_id = tenant_of(principal)
    async with shared.db.transaction(Scope(tenant_id)) as tx:

        async def work() -> Recorded:
            row = await card_refunds.lock(tx, refund_id)
            if row is None:
                raise NotFound("There is no such refund here.")
            state = card_refunds.state_of(row)
            if state != "dead":
                raise RefundNotDead(extra={"state": state})
            changed = await act(tx)
            changes = {"status": (state, card_refunds.state_of(changed))}
            await audit.record(tx, tenant_id, principal, action, refund_id, changes)
            return recorded(200, Envelope(data=_refund_out(changed)))

        return response(await once(tx, tenant_id, key, work))


async def _check_right(shared: Resources, principal: Principal, payment: CardPayment) -> None:
    """Raises NotYourShift for a cashier at somebody else's register."""
    if principal.role is not Role.CASHIER or payment.created_by == principal.id:
        return
    sale: t.Sell = commerce.decode(payment.sale)
    found = await desk.ask(shared, principal, t.GetRegister(sale.register_id))
    shift = found.register.shift
    if shift is None or shift.opened_by != principal.id:
        raise NotYourShift


def _refund_out(row: Any) -> a.CardRefundOut:
    return a.CardRefundOut(
        refund_id=row["id"],
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
