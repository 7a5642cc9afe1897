"""The rule of a sale: stock, drawer, gift cards and the receipt's number change together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from actors.messages import Refused
from actors.rules import Events, refuse
from actors.runtime.family import Context, Decision, Key, View
from actors.stock import model as stock
from actors.stock.reservations import reservation_key, reserve
from actors.till import goods
from actors.till import messages as t
from actors.till import model as m
from actors.till.cards import card_key, why_not
from actors.till.drawer import live_register, register_key
from core.cash import NO_ROUNDING, payable


def sale_key(context: Context, sale_id: UUID) -> Key:
    return Key(m.SALE, context.shard, context.tenant_id, sale_id)


def keys(command: t.Sell, context: Context, view: View) -> Iterator[Key]:
    if command.offline is not None:
        yield sale_key(context, command.sale_id)
    yield register_key(context, command.register_id)
    yield from goods.keys(
        view, context, command.location_id, goods.needs(command.lines), command.reservation_id
    )
    for tender in command.tenders:
        if tender.card_id is not None:
            yield card_key(context, tender.card_id)
    for card in command.new_cards:
        yield card_key(context, card.card_id)


class _Settled(NamedTuple):
    """What the tenders come to: payments without the change, and the change; and by how much the
    part in cash was rounded."""

    payments: tuple[m.Payment, ...]
    tendered_minor: int
    change_minor: int
    rounding_minor: int


def sell(view: View, command: t.Sell, context: Context) -> Decision:
    """Refused: not_found, shift_closed."""
    if again := _again(view, command, context):
        return again
    register = live_register(view, context, command.register_id)
    if register is None:
        return refuse("not_found", registerId=str(command.register_id))
    if refusal := _not_here(register, command, context):
        return refusal
    settled = _settled(command, register)
    if isinstance(settled, Decision):
        return settled
    if refusal := _bad_card(view, command, context):
        return refusal
    taken = _take(view, command, context)
    if isinstance(taken, Refused):
        return Decision(taken, refused=True)
    if register.shift is None:
        return refuse("shift_closed")
    sold = _sold(command, context, register, register.shift, settled)
    key = sale_key(context, command.sale_id)
    till = register_key(context, command.register_id)
    events: Events = [
        *taken,
        *_cards(command, context),
        (till, m.ReceiptIssued(_totals(sold, register.shift))),
        (key, sold),
    ]
    if sold.offline is None:
        reply = t.SaleMade(command.sale_id, sold, context.principal, context.now_ms)
    else:
        happened = sold.offline
        reply = t.SaleMade(command.sale_id, sold, happened.cashier, happened.occurred_at_ms)
    return Decision(reply, events, (key, till))


def _again(view: View, command: t.Sell, context: Context) -> Decision | None:
    """The answer to an offline sale that is in already: it happened once. Refused:
    client_sale_id_reused."""
    if command.offline is None:
        return None
    known: m.Sale | None = view.get(sale_key(context, command.sale_id))
    if known is None:
        return None
    if known.digest != command.offline.digest:
        return refuse("client_sale_id_reused", saleId=str(command.sale_id))
    return Decision(t.SaleKnown(command.sale_id, known))


def _take(view: View, command: t.Sell, context: Context) -> Events | Refused:
    lines, reference = goods.needs(command.lines), f"sale {command.sale_id}"
    if command.offline is None:
        return goods.take(view, context, command, lines, reference)
    at_ms = min(command.offline.occurred_at_ms, context.now_ms)
    return goods.record_gone(view, context, command, lines, reference, at_ms)


def _sold(
    command: t.Sell, context: Context, register: m.Register, shift: m.Shift, settled: _Settled
) -> m.Sold:
    """The sale as it is written down, with the register's next number. What was sold offline has
    the moment of then, and belongs to the shift of now: one that is closed never changes."""
    offline = command.offline
    if offline is not None:
        at_ms = min(offline.occurred_at_ms, context.now_ms)
        offline = msgspec.structs.replace(offline, occurred_at_ms=at_ms)
    sale = m.Sale(
        command.register_id,
        command.location_id,
        shift.id,
        register.next_receipt_number,
        command.currency,
        m.SaleStatus.COMPLETED,
        command.tips_minor,
        command.lines,
        settled.payments,
        digest=None if offline is None else offline.digest,
        rounding_minor=settled.rounding_minor,
    )
    return m.Sold(
        sale,
        command.customer_id,
        command.note,
        command.prices_include_tax,
        settled.tendered_minor,
        settled.change_minor,
        command.reservation_id,
        offline,
        command.tax_exemption,
    )


def hold_keys(command: t.HoldSale, context: Context, view: View) -> Iterator[Key]:
    yield from keys(command.sale, context, view)


def hold(view: View, command: t.HoldSale, context: Context) -> Decision:
    sale = command.sale
    rehearsed = sell(view, sale, context)
    if rehearsed.refused:
        return rehearsed
    if sale.reservation_id is not None:
        key = reservation_key(context, sale.reservation_id)
        held: stock.Reservation = view.get(key)
        until_ms = min(held.expires_at_ms, context.now_ms + command.ttl_ms)
        return Decision(_held(view, command, context, sale.reservation_id, until_ms), (), (key,))
    wanted = stock.Reserve(
        command.reservation_id,
        goods.needs(sale.lines),
        command.ttl_ms,
        command.reference,
        sale.location_id,
        sale.measures,
    )
    decision = reserve(view, wanted, context)
    if decision.refused:
        return decision
    until_ms = context.now_ms + command.ttl_ms
    reply = _held(view, command, context, command.reservation_id, until_ms)
    return Decision(reply, decision.events, decision.touched)


def _held(
    view: View, command: t.HoldSale, context: Context, reservation_id: UUID, until_ms: int
) -> t.SaleHeld:
    register = live_register(view, context, command.sale.register_id)
    if register is None or register.shift is None:
        raise ValueError("a sale was found possible without a shift")
    return t.SaleHeld(
        msgspec.structs.replace(
            command.sale,
            reservation_id=reservation_id,
            shift_id=register.shift.id,
            until_ms=until_ms,
        )
    )


def _not_here(register: m.Register, command: t.Sell, context: Context) -> Decision | None:
    """Refused: wrong_location, shift_closed, sale_too_late, currency_mismatch, discount_limit,
    amount_limit."""
    if register.location_id != command.location_id:
        return refuse("wrong_location", locationId=str(register.location_id))
    if register.shift is None or command.shift_id not in (None, register.shift.id):
        return refuse("shift_closed")
    if command.until_ms is not None and context.arrived_ms > command.until_ms:
        return refuse("sale_too_late")
    if register.shift.currency != command.currency:
        return refuse("currency_mismatch", currency=register.shift.currency)
    limit = register.discount_limit_percent
    given = sum(line.discount_minor for line in command.lines)
    # A gift card is not discounted, so it earns no discount for the rest.
    listed = sum(line.listed_minor for line in command.lines if line.card_id is None)
    # To the next whole unit, so that rounding never needs a manager.
    if not command.by_manager and given > -(-listed * limit // 100):
        return refuse("discount_limit", limitPercent=limit)
    taken = register.shift.expected_minor + sum(tender.amount_minor for tender in command.tenders)
    return refuse("amount_limit") if taken > m.MAX_AMOUNT_MINOR else None


def _settled(command: t.Sell, register: m.Register) -> _Settled | Decision:
    """Refused: cash_not_in_coins, and as `settle` does."""
    due_minor = sum(line.total_minor for line in command.lines) + command.tips_minor
    tenders, currency = command.tenders, command.currency
    if command.offline is not None:
        # It was rounded where it was made.
        return settle(tenders, due_minor, currency, command.rounding_minor)
    step = register.shift.cash_step_minor if register.shift else NO_ROUNDING
    cash = sum(tender.amount_minor for tender in tenders if tender.method is m.Method.CASH)
    # What the cash must cover: nothing of it is rounded that is paid otherwise.
    in_cash = due_minor - sum(tender.amount_minor for tender in tenders) + cash
    rounding = payable(in_cash, step) - in_cash if cash and in_cash > 0 else 0
    if cash % step:
        due = due_minor + rounding
        return refuse("cash_not_in_coins", dueMinor=due, stepMinor=step, currency=currency)
    return settle(tenders, due_minor, currency, rounding)


def settle(
    tenders: Sequence[t.Tender], exact_minor: int, currency: str, rounding_minor: int = 0
) -> _Settled | Decision:
    """Payments and change, or the refusal: what is tendered must cover what is due, which is so
    much more than the exact amount as cash is rounded by; and what is too much is handed back out
    of the cash. Refused: payment_short, change_not_cash."""
    tendered = sum(tender.amount_minor for tender in tenders)
    due_minor = exact_minor + rounding_minor
    change = tendered - due_minor
    if change < 0:
        return refuse(
            "payment_short", dueMinor=due_minor, tenderedMinor=tendered, currency=currency
        )
    cash = sum(tender.amount_minor for tender in tenders if tender.method is m.Method.CASH)
    if change > cash:
        return refuse("change_not_cash", changeMinor=change, cashMinor=cash, currency=currency)
    payments, left = [], change
    for tender in tenders:
        back = min(left, tender.amount_minor) if tender.method is m.Method.CASH else 0
        left -= back
        if amount := tender.amount_minor - back:
            payments.append(m.Payment(tender.method, amount, tender.reference, tender.card_id))
    return _Settled(tuple(payments), tendered, change, rounding_minor)


def _bad_card(view: View, command: t.Sell, context: Context) -> Decision | None:
    """A refusal when a gift card cannot pay what it should, or cannot be made. Refused:
    gift_card_by_gift_card, gift_card_not_found, gift_card_short, gift_card_exists."""
    goods_minor = sum(line.total_minor for line in command.lines if line.card_id is None)
    paid_minor = sum(
        tender.amount_minor for tender in command.tenders if tender.card_id is not None
    )
    if command.new_cards and paid_minor > goods_minor + command.tips_minor:
        # Else a card that expires, or was stolen, could be turned into a new one.
        return refuse("gift_card_by_gift_card")
    wanted: dict[UUID, int] = {}
    for number, tender in enumerate(command.tenders):
        if tender.card_id is None:
            continue
        card: m.GiftCard | None = view.get(card_key(context, tender.card_id))
        code = why_not(card, command.currency, context)
        if card is None or code is not None:
            return refuse(code or "gift_card_not_found", payment=number)
        total = wanted[tender.card_id] = wanted.get(tender.card_id, 0) + tender.amount_minor
        if total > card.balance_minor:
            return refuse(
                "gift_card_short",
                payment=number,
                balanceMinor=card.balance_minor,
                currency=card.currency,
            )
    made: set[UUID] = set()
    for new in command.new_cards:
        if new.card_id in made or view.get(card_key(context, new.card_id)) is not None:
            return refuse("gift_card_exists")
        made.add(new.card_id)
    return None


def _cards(command: t.Sell, context: Context) -> Iterator[tuple[Key, Any]]:
    for tender in command.tenders:
        if tender.card_id is not None:
            redeemed = m.CardMoved("redeemed", -tender.amount_minor, command.sale_id)
            yield card_key(context, tender.card_id), redeemed
    amounts = {line.card_id: line.total_minor for line in command.lines if line.card_id}
    for new in command.new_cards:
        issued = issue(new, command.currency, amounts[new.card_id], command.sale_id)
        yield card_key(context, new.card_id), issued


def issue(new: t.NewCard, currency: str, amount_minor: int, source_id: UUID) -> m.CardIssued:
    return m.CardIssued(currency, new.last_four, amount_minor, new.expires_at_ms, source_id)


def _totals(sold: m.Sold, shift: m.Shift) -> m.Totals:
    """What the sale adds to its shift. A gift card is money owed, not turnover."""
    sale, offline = sold.sale, sold.offline
    goods_sold = [line for line in sale.lines if line.card_id is None]
    taken: dict[str, int] = {}
    payments: dict[str, int] = {}
    for payment in sale.payments:
        taken[payment.method] = taken.get(payment.method, 0) + payment.amount_minor
        payments[payment.method] = payments.get(payment.method, 0) + 1
    earlier = offline is not None and offline.occurred_at_ms < shift.opened_at_ms
    return m.Totals(
        sales=1,
        sales_minor=sum(line.total_minor for line in goods_sold),
        discounts_minor=sum(line.discount_minor for line in goods_sold),
        tips_minor=sale.tips_minor,
        gift_cards_sold_minor=sum(line.total_minor for line in sale.lines if line.card_id),
        taken=taken,
        taxes=taxes((line.tax_rate_ppm, line.total_minor, line.tax_minor) for line in goods_sold),
        payments=payments,
        earlier_cash_minor=taken.get(m.Method.CASH, 0) if earlier else 0,
        cash_rounding_minor=sale.rounding_minor,
    )


def taxes(lines: Iterable[tuple[int, int, int]]) -> dict[int, tuple[int, int]]:
    """By rate in ppm: what was taxed and the tax, from (rate, total with tax, tax)."""
    found: dict[int, tuple[int, int]] = {}
    for rate, total_minor, tax_minor in lines:
        net, tax = found.get(rate, (0, 0))
        found[rate] = (net + total_minor - tax_minor, tax + tax_minor)
    return found
