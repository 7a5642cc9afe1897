"""What people do about card payments and refunds that wait: call off, retry, settle by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from actors.families import commerce
from actors.till.messages import GetRegister, Sell
from core.errors import NotFound
from core.principal import Principal, Role
from core.request import RequestKey
from deployments.kit import desk
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change
from deployments.pos.card_payments.schemas import CardPaymentOut, CardRefundOut, NewSettlement
from deployments.pos.card_payments.service import CARDS
from deployments.pos.card_payments.shapes import card_payment_out, card_refund_out
from deployments.pos.errors import CardPaymentCompleted, NotYourShift, RefundNotDead
from gateway.access import tenant_of
from store.kit import audit
from store.kit.commands import answered
from store.kit.engine import Scope, Transaction
from store.pos import card_refunds
from store.pos.cards import CardPayment


async def card_payment(shared: Resources, principal: Principal, payment_id: UUID) -> CardPayment:
    """By its id or that of one of its cards. Raises NotFound."""
    found = await CARDS.of(shared).get(tenant_of(principal), payment_id)
    if found is None:
        raise NotFound("There is no such card payment here.")
    return found


async def abandon(
    shared: Resources, principal: Principal, key: RequestKey, payment_id: UUID
) -> Made[CardPaymentOut]:
    """Calls a payment off, and no sale can come of it any more. Raises NotFound, NotYourShift,
    CardPaymentCompleted."""
    tenant_id = tenant_of(principal)
    async with shared.db.transaction(Scope(tenant_id)) as tx:
        before = await answered(tx, key)
    if before is not None:
        return Made(before)
    payment = await card_payment(shared, principal, payment_id)
    await _check_right(shared, principal, payment)

    async def note(tx: Transaction) -> None:
        await audit.record(tx, tenant_id, principal, "card_payment.abandoned", payment.id)

    ended = await CARDS.of(shared).abandon(payment, note)
    if ended.status == "completed":
        raise CardPaymentCompleted(extra={"saleId": str(ended.sale_id)})

    async def work(_: Transaction) -> Made[CardPaymentOut]:
        return Made.of(card_payment_out(ended))

    return await change(shared, principal, key, work)


async def retry(
    shared: Resources, principal: Principal, key: RequestKey, refund_id: UUID
) -> Made[CardRefundOut]:
    """Has the provider asked again. Raises NotFound, RefundNotDead."""

    async def act(tx: Transaction) -> Any:
        return await card_refunds.retry(tx, refund_id)

    return await _acted(shared, principal, key, refund_id, "card_refund.retried", act)


async def settle(
    shared: Resources, principal: Principal, key: RequestKey, refund_id: UUID, body: NewSettlement
) -> Made[CardRefundOut]:
    """Notes that the customer has the money. Raises NotFound, RefundNotDead."""

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
) -> Made[CardRefundOut]:
    async def work(tx: Transaction) -> Made[CardRefundOut]:
        row = await card_refunds.lock(tx, refund_id)
        if row is None:
            raise NotFound("There is no such refund here.")
        state = card_refunds.state_of(row)
        if state != "dead":
            raise RefundNotDead(extra={"state": state})
        changed = await act(tx)
        changes = {"status": (state, card_refunds.state_of(changed))}
        await audit.record(tx, tenant_of(principal), principal, action, refund_id, changes)
        return Made.of(card_refund_out(changed))

    return await change(shared, principal, key, work)


async def _check_right(shared: Resources, principal: Principal, payment: CardPayment) -> None:
    """Raises NotYourShift for a cashier at somebody else's register."""
    if principal.role is not Role.CASHIER or payment.created_by == principal.id:
        return
    sale: Sell = commerce.decode(payment.sale)
    found = await desk.ask(shared, principal, GetRegister(sale.register_id))
    shift = found.register.shift
    if shift is None or shift.opened_by != principal.id:
        raise NotYourShift
