"""The rules of what comes back: never more than was sold, never more money than was paid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

from actors.messages import Refused
from actors.rules import Events, quantity_fact, refuse
from actors.runtime.family import Context, Decision, Key, View
from actors.stock import model as stock
from actors.stock.levels import joined
from actors.till import goods
from actors.till import messages as t
from actors.till import model as m
from actors.till.cards import card_key
from actors.till.drawer import live_register, register_key
from actors.till.refunds import Back
from actors.till.refunds import refunds as refunds_of
from actors.till.sell import issue, sale_key, taxes
from core.cash import payable


class _Till(NamedTuple):
    """Where a return is made."""

    register: m.Register
    shift: m.Shift


def return_keys(command: t.Return, context: Context, view: View) -> Iterator[Key]:
    yield register_key(context, command.register_id)
    key = sale_key(context, command.sale_id)
    yield key
    if command.card_id is not None:
        yield card_key(context, command.card_id)
    if command.new_card is not None:
        yield card_key(context, command.new_card.card_id)
    sale: m.Sale | None = view.get(key)
    if sale is None:
        return
    register: m.Register | None = view.get(register_key(context, command.register_id))
    place = register.location_id if register else sale.location_id
    shelves = (stock.Line(line.restock_as, 1) for line in command.lines if line.restock_as)
    lines = joined((*goods.needs(sale.lines), *shelves))
    yield from goods.keys(view, context, place, lines, None)
    for card_id in _cards_of(sale):
        yield card_key(context, card_id)


def unreceipted_keys(command: t.ReturnUnreceipted, context: Context, view: View) -> Iterator[Key]:
    yield register_key(context, command.register_id)
    if command.new_card is not None:
        yield card_key(context, command.new_card.card_id)
    needs = goods.needs(command.lines)
    yield from goods.keys(view, context, command.location_id, needs, None)


def return_goods(view: View, command: t.Return, context: Context) -> Decision:
    """Refused: not_found, currency_mismatch, not_your_shift."""
    till = _till(view, command.register_id, context)
    if isinstance(till, Decision):
        return till
    sale: m.Sale | None = view.get(sale_key(context, command.sale_id))
    if sale is None:
        return refuse("not_found", saleId=str(command.sale_id))
    if till.shift.currency != sale.currency:
        return refuse("currency_mismatch", currency=till.shift.currency)
    if refusal := _not_voidable(sale, till, command):
        return refusal
    lines = _lines(sale, command)
    if isinstance(lines, Decision):
        return lines
    if refusal := _used_card(view, lines, context):
        return refusal
    tips_minor = sale.tips_minor if command.void else 0
    step_minor = till.shift.cash_step_minor
    back = Back(lines, tips_minor)
    refunds = refunds_of(view, sale, command, back, step_minor, context)
    if isinstance(refunds, Decision):
        return refunds
    in_cash = any(refund.method is m.Method.CASH for refund in refunds)
    if in_cash and command.own_only and till.shift.opened_by != context.principal:
        return refuse("not_your_shift")
    record = _record(till, command, command.sale_id, sale.currency, lines, refunds, tips_minor)
    taken = m.TakenBack(lines, refunds, command.void)
    return _decide(
        view, command, context, till, record, [(sale_key(context, command.sale_id), taken)]
    )


def return_unreceipted(view: View, command: t.ReturnUnreceipted, context: Context) -> Decision:
    """Refused: manager_needed, wrong_location, currency_mismatch."""
    till = _till(view, command.register_id, context)
    if isinstance(till, Decision):
        return till
    if not command.by_manager:
        return refuse("manager_needed")
    if till.register.location_id != command.location_id:
        return refuse("wrong_location", locationId=str(till.register.location_id))
    if till.shift.currency != command.currency:
        return refuse("currency_mismatch", currency=till.shift.currency)
    lines = tuple(
        m.ReturnedLine(number, line.quantity, restock, line.total_minor, line.tax_minor, 0, line)
        for number, (line, restock) in enumerate(zip(command.lines, command.restock, strict=True))
    )
    card_id = command.new_card.card_id if command.new_card else None
    total_minor = sum(line.total_minor for line in lines)
    if command.refund_to is m.Method.CASH:
        total_minor = payable(total_minor, till.shift.cash_step_minor)
    refunds = (m.Refund(command.refund_to, total_minor, card_id=card_id),) if total_minor else ()
    record = _record(till, command, None, command.currency, lines, refunds, 0)
    return _decide(view, command, context, till, record, [])


def _till(view: View, register_id: UUID, context: Context) -> _Till | Decision:
    """Refused: not_found, shift_closed."""
    register = live_register(view, context, register_id)
    if register is None:
        return refuse("not_found", registerId=str(register_id))
    return _Till(register, register.shift) if register.shift else refuse("shift_closed")


def _not_voidable(sale: m.Sale, till: _Till, command: t.Return) -> Decision | None:
    """Refused: manager_needed, void_too_late, already_returned."""
    if not command.void:
        return None
    if not command.by_manager:
        return refuse("manager_needed")
    if sale.shift_id != till.shift.id:
        return refuse("void_too_late")
    touched = sale.status is not m.SaleStatus.COMPLETED
    return refuse("already_returned") if touched else None


def _lines(sale: m.Sale, command: t.Return) -> tuple[m.ReturnedLine, ...] | Decision:
    """What comes back of each line, with its part of the money. Two entries may name the same line:
    some of it goes back on the shelf, some does not. Refused: line_not_found, measure_changed,
    more_than_sold, restock_unclear."""
    wanted = command.lines
    if command.void:
        wanted = tuple(
            t.ReturnLine(number, line.quantity, decimals=line.decimals)
            for number, line in enumerate(sale.lines)
        )
    returned: dict[int, int] = {}
    found = []
    for back in wanted:
        if back.number >= len(sale.lines):
            return refuse("line_not_found", line=back.number)
        line = sale.lines[back.number]
        if back.decimals != line.decimals:
            return refuse("measure_changed", line=back.number, quantityDecimals=line.decimals)
        if back.restock_as is not None and len(line.parts) != 1:
            return refuse("restock_unclear", line=back.number)
        before = returned.get(back.number, line.returned)
        after = returned[back.number] = before + back.quantity
        if after > line.quantity:
            left = quantity_fact("left", line.quantity - line.returned, line.decimals)
            return refuse("more_than_sold", line=back.number, **left)
        total, tax, discount = (
            line.share(amount, after) - line.share(amount, before)
            for amount in (line.total_minor, line.tax_minor, line.discount_minor)
        )
        found.append(
            m.ReturnedLine(
                back.number,
                back.quantity,
                back.restock,
                total,
                tax,
                discount,
                line,
                back.restock_as,
            )
        )
    return tuple(found)


def _used_card(view: View, lines: Iterable[m.ReturnedLine], context: Context) -> Decision | None:
    """A gift card that was sold may come back as long as nobody has used it. Refused:
    gift_card_used."""
    for line in lines:
        if line.sold.card_id is None:
            continue
        card: m.GiftCard | None = view.get(card_key(context, line.sold.card_id))
        if card is None or card.disabled or card.balance_minor != card.initial_minor:
            return refuse("gift_card_used", line=line.number)
    return None


def _record(
    till: _Till,
    command: t.Return | t.ReturnUnreceipted,
    sale_id: UUID | None,
    currency: str,
    lines: tuple[m.ReturnedLine, ...],
    refunds: tuple[m.Refund, ...],
    tips_minor: int,
) -> m.ReturnMade:
    return m.ReturnMade(
        sale_id,
        command.register_id,
        till.register.location_id,
        till.shift.id,
        till.register.next_receipt_number,
        currency,
        lines,
        refunds,
        tips_minor,
        command.reason,
        isinstance(command, t.Return) and command.void,
    )


def _decide(
    view: View,
    command: t.Return | t.ReturnUnreceipted,
    context: Context,
    till: _Till,
    record: m.ReturnMade,
    events: Events,
) -> Decision:
    """What every return does: the drawer, the shelf, the gift cards, the record. Refused:
    drawer_short, gift_card_exists."""
    totals = _totals(record)
    if till.shift.expected_minor + totals.cash_minor < 0:
        return refuse(
            "drawer_short",
            expectedMinor=till.shift.expected_minor,
            currency=till.shift.currency,
        )
    new = command.new_card
    if new is not None and view.get(card_key(context, new.card_id)) is not None:
        return refuse("gift_card_exists")
    shelved = goods.give_back(
        view,
        context,
        till.register.location_id,
        goods.shelved(record.lines),
        f"return {command.return_id}",
        goods.sold_measures(record.lines) if isinstance(command, t.Return) else command.measures,
        was_sold=isinstance(command, t.Return),
    )
    if isinstance(shelved, Refused):
        return Decision(shelved, refused=True)
    key = Key(m.RETURN, context.shard, context.tenant_id, command.return_id)
    register = register_key(context, command.register_id)
    every: Events = [
        *events,
        *shelved,
        *_cards(record, command, context),
        (register, m.ReceiptIssued(totals)),
        (key, record),
    ]
    reply = t.ReturnDone(command.return_id, record, context.now_ms)
    return Decision(reply, every, (key, register))


def _cards(
    record: m.ReturnMade, command: t.Return | t.ReturnUnreceipted, context: Context
) -> Iterator[tuple[Key, Any]]:
    credit_minor = 0
    for refund in record.refunds:
        if refund.method is m.Method.STORE_CREDIT:
            credit_minor += refund.amount_minor
        elif refund.card_id is not None:
            moved = m.CardMoved("refunded", refund.amount_minor, command.return_id)
            yield card_key(context, refund.card_id), moved
    if command.new_card is not None and credit_minor:
        issued = issue(command.new_card, record.currency, credit_minor, command.return_id)
        yield card_key(context, command.new_card.card_id), issued
    for line in record.lines:
        if line.sold.card_id is not None:
            key = card_key(context, line.sold.card_id)
            yield key, m.CardMoved("returned", -line.total_minor, command.return_id)
            yield key, m.CardDisabled()


def _totals(record: m.ReturnMade) -> m.Totals:
    goods_back = [line for line in record.lines if line.sold.card_id is None]
    refunded: dict[str, int] = {}
    for refund in record.refunds:
        refunded[refund.method] = refunded.get(refund.method, 0) + refund.amount_minor
    back = taxes(
        (line.sold.tax_rate_ppm, -line.total_minor, -line.tax_minor) for line in goods_back
    )
    return m.Totals(
        returns=1,
        returns_minor=sum(line.total_minor for line in goods_back),
        tips_minor=-record.tips_minor,
        discounts_minor=-sum(line.discount_minor for line in goods_back),
        gift_cards_sold_minor=-sum(
            line.total_minor for line in record.lines if line.sold.card_id is not None
        ),
        refunded=refunded,
        taxes=back,
        cash_rounding_minor=-record.rounding_minor,
    )


def _cards_of(sale: m.Sale) -> Iterator[UUID]:
    for payment in sale.payments:
        if payment.card_id is not None:
            yield payment.card_id
    for line in sale.lines:
        if line.card_id is not None:
            yield line.card_id
