"""The till against plain models: drawers, gift cards and returns, whatever is asked."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.messages import Refused
from actors.stock import model as stock
from actors.till import messages as t
from actors.till import model as m
from core.ids import uuid7
from tests.unit.till_bench import CURRENCY, REGISTER, TillBench, card_line, line

ITEMS = [UUID(int=number) for number in range(1, 4)]
CARDS = [UUID(int=number) for number in range(90, 93)]
FLOAT_MINOR = 5_000
amounts = st.integers(0, 3_000)
STEPS = settings(max_examples=100, stateful_step_count=30, deadline=None)


class DrawerMachine(RuleBasedStateMachine):
    """The model: cash in a box, whether a shift is open, and how many receipts were given."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = TillBench()
        self.bench.open(FLOAT_MINOR)
        self.bench.run(stock.AddStock(ITEMS[0], 1_000_000))
        self.cash = FLOAT_MINOR
        self.is_open = True
        self.cards_taken = self.gifts = 0
        self.receipts: list[int] = []
        self.closed: list[tuple[int, int]] = []

    @rule(amount=amounts, kind=st.sampled_from(list(m.CashMove)))
    def move(self, amount: int, kind: m.CashMove) -> None:
        amount = 0 if kind is m.CashMove.NO_SALE else amount
        reply = self.bench.run(t.MoveCash(REGISTER, kind, amount, "change"))
        if not self.is_open:
            assert reply.code == "shift_closed"
        elif kind is m.CashMove.PAID_OUT and amount > self.cash:
            assert reply.code == "drawer_short"
        else:
            self.cash += {m.CashMove.PAID_IN: amount, m.CashMove.PAID_OUT: -amount}.get(kind, 0)

    @rule(
        price=st.integers(0, 900),
        gift=st.integers(0, 300),
        cash=amounts,
        cards=st.lists(st.integers(1, 1_000), max_size=4),
    )
    def sell(self, price: int, gift: int, cash: int, cards: list[int]) -> None:
        """Goods, and perhaps a gift card, for cash and several cards."""
        paid = (t.Tender(m.Method.CARD, amount, f"sbx_{n}") for n, amount in enumerate(cards))
        tenders = (t.Tender(m.Method.CASH, cash), *paid)
        lines, new = [line(ITEMS[0], 2, price)], uuid7()
        if gift:
            lines.append(card_line(new, gift))
        new_cards = (t.NewCard(new, "WXYZ"),) if gift else ()
        reply = self.bench.sell(*lines, tenders=tenders, new_cards=new_cards)
        card = sum(cards)
        change = cash + card - 2 * price - gift
        if not self.is_open:
            assert reply.code == "shift_closed"
        elif change < 0:
            assert reply.code == "payment_short"
        elif change > cash:
            assert reply.code == "change_not_cash"
        else:
            assert reply.sold.change_minor == change
            self.cash += cash - change
            self.cards_taken += len(cards)
            self.gifts += gift
            self.receipts.append(reply.sold.sale.receipt_number)

    @rule(counted=amounts, by=st.sampled_from(["ann", "bob"]), manager=st.booleans())
    def close(self, counted: int, by: str, manager: bool) -> None:
        closing = t.CloseShift(REGISTER, counted, by_manager=manager)
        reply = self.bench.run(closing, by)
        if not self.is_open:
            assert reply.code == "shift_closed"
        elif by != "ann" and not manager:
            assert reply.code == "not_your_shift"
        else:
            assert reply.shift.expected_minor == self.cash
            self.closed.append((reply.shift.expected_minor, counted))
            self.is_open = False

    @rule()
    def open(self) -> None:
        reply = self.bench.run(t.OpenShift(REGISTER, uuid7(), FLOAT_MINOR, CURRENCY))
        if self.is_open:
            assert reply.code == "shift_open"
        else:
            self.is_open, self.cash = True, FLOAT_MINOR
            self.cards_taken = self.gifts = 0

    @invariant()
    def they_agree(self) -> None:
        register = self.bench.register()
        assert (register.shift is not None) is self.is_open
        if register.shift is not None:
            assert register.shift.expected_minor == self.cash >= 0
            totals = register.shift.totals
            assert totals.payments.get(m.Method.CARD, 0) == self.cards_taken
            assert totals.gift_cards_sold_minor == self.gifts
        assert register.shifts == len(self.closed) + self.is_open

    @invariant()
    def receipts_have_no_gap(self) -> None:
        assert self.receipts == list(range(1, len(self.receipts) + 1))
        assert self.bench.register().next_receipt_number == len(self.receipts) + 1


class CardMachine(RuleBasedStateMachine):
    """The model: money on cards, and which of them are dead."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = TillBench()
        self.bench.open()
        self.bench.run(stock.AddStock(ITEMS[0], 1_000_000))
        self.balance: dict[UUID, int] = {}
        self.dead: set[UUID] = set()
        self.sold: dict[UUID, tuple[UUID, int, int]] = {}

    @rule(card=st.sampled_from(CARDS), amount=st.integers(1, 500))
    def issue(self, card: UUID, amount: int) -> None:
        new = (t.NewCard(card, "WXYZ"),)
        reply = self.bench.sell(card_line(card, amount), new_cards=new)
        if card in self.balance:
            assert reply.code == "gift_card_exists"
        else:
            self.balance[card] = amount
            self.sold[card] = (reply.sale_id, 0, amount)

    @rule(
        card=st.sampled_from(CARDS),
        amount=st.integers(1, 200),
        goods=st.integers(0, 300),
        by=st.sampled_from(CARDS),
        paid=st.integers(1, 400),
    )
    def issue_in_a_basket(self, card: UUID, amount: int, goods: int, by: UUID, paid: int) -> None:
        """Beside goods, for which alone another card may pay."""
        paid = min(paid, goods + amount)
        tenders = (
            t.Tender(m.Method.GIFT_CARD, paid, card_id=by),
            t.Tender(m.Method.CASH, goods + amount - paid),
        )
        lines = (line(ITEMS[0], 1, goods), card_line(card, amount))
        new = (t.NewCard(card, "WXYZ"),)
        reply = self.bench.sell(*lines, tenders=tenders, new_cards=new)
        if paid > goods:
            assert reply.code == "gift_card_by_gift_card"
        elif by not in self.balance:
            assert reply.code == "gift_card_not_found"
        elif by in self.dead:
            assert reply.code == "gift_card_disabled"
        elif paid > self.balance[by]:
            assert reply.code == "gift_card_short"
        elif card in self.balance:
            assert reply.code == "gift_card_exists"
        else:
            self.balance[by] -= paid
            self.balance[card] = amount
            self.sold[card] = (reply.sale_id, 1, amount)

    @rule(card=st.sampled_from(CARDS))
    def give_card_back(self, card: UUID) -> None:
        """As long as nobody has used it."""
        if card not in self.sold:
            return
        sale_id, number, amount = self.sold[card]
        lines = (t.ReturnLine(number, 1),)
        back = t.Return(uuid7(), sale_id, REGISTER, lines, refund_to=m.Method.CASH, by_manager=True)
        reply = self.bench.run(back)
        if self.bench.sale(sale_id).lines[number].returned and isinstance(reply, Refused):
            assert reply.code == "more_than_sold"
        elif card in self.dead or self.balance[card] != amount:
            assert reply.code == "gift_card_used"
        else:
            assert reply.record.total_minor == amount
            self.balance[card] = 0
            self.dead.add(card)

    @rule(card=st.sampled_from(CARDS), amounts=st.lists(st.integers(1, 200), max_size=3))
    def redeem(self, card: UUID, amounts: list[int]) -> None:
        """Once, or several times in one sale, each on its own within the balance."""
        total = sum(amounts)
        tenders = tuple(t.Tender(m.Method.GIFT_CARD, amount, card_id=card) for amount in amounts)
        reply = self.bench.sell(line(ITEMS[0], 1, total), tenders=tenders)
        if not amounts:
            assert not isinstance(reply, Refused)
        elif card not in self.balance:
            assert reply.code == "gift_card_not_found"
        elif card in self.dead:
            assert reply.code == "gift_card_disabled"
        elif total > self.balance[card]:
            assert reply.code == "gift_card_short"
            assert reply.facts["balanceMinor"] == self.balance[card]
        else:
            self.balance[card] -= total

    @rule(card=st.sampled_from(CARDS), amount=st.integers(1, 200))
    def pay_and_return(self, card: UUID, amount: int) -> None:
        tender = (t.Tender(m.Method.GIFT_CARD, amount, card_id=card),)
        sold = self.bench.sell(line(ITEMS[0], 1, amount), tenders=tender)
        if isinstance(sold, Refused):
            return
        back = t.Return(uuid7(), sold.sale_id, REGISTER, (t.ReturnLine(0, 1),))
        assert not isinstance(self.bench.run(back), Refused)

    @rule(card=st.sampled_from(CARDS))
    def disable(self, card: UUID) -> None:
        reply = self.bench.run(t.DisableCard(card))
        if card in self.balance:
            self.dead.add(card)
        else:
            assert reply.code == "not_found"

    @invariant()
    def they_agree(self) -> None:
        for card, balance in self.balance.items():
            state = self.bench.card(card)
            assert state.balance_minor == balance >= 0
            assert state.disabled is (card in self.dead)
        moved: Counter[UUID] = Counter()
        for row in self.bench.rows()["gift_card_movements"]:
            moved[row[0]] += row[4]
        assert dict(moved) == self.balance


class ReturnMachine(RuleBasedStateMachine):
    """The model: units with customers, money that they have paid, goods on the shelf."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = TillBench()
        self.bench.open(1_000_000)
        for item in ITEMS:
            self.bench.run(stock.AddStock(item, 40))
        self.shelf = dict.fromkeys(ITEMS, 40)
        self.units: dict[UUID, list[int]] = {}
        self.sold: dict[UUID, list[int]] = {}
        self.paid: dict[UUID, int] = {}
        self.back: dict[UUID, int] = {}
        # What is left of each tender, in the order in which money goes back.
        self.left: dict[UUID, list[tuple[m.Method, str | None, int]]] = {}

    @rule(
        wanted=st.lists(
            st.tuples(st.sampled_from(ITEMS), st.integers(1, 5), st.integers(0, 101)),
            min_size=1,
            max_size=4,
        ),
        discount=st.integers(0, 3),
        cash=st.integers(0, 400),
        cards=st.lists(st.integers(1, 300), max_size=4),
        tips=st.integers(0, 50),
    )
    def sell(
        self,
        wanted: list[tuple[UUID, int, int]],
        discount: int,
        cash: int,
        cards: list[int],
        tips: int,
    ) -> None:
        """Paid with several cards, cash and another terminal, whatever comes first."""
        lines = [
            line(item, n, price, discount=min(discount, n * price), tax_ppm=190_000)
            for item, n, price in wanted
        ]
        due = sum(sold.total_minor for sold in lines) + tips
        cash = rest = min(cash, due)
        by_card = []
        for number, amount in enumerate(cards):
            amount = min(amount, due - rest)
            rest += amount
            by_card.append((m.Method.CARD, f"sbx_{number}", amount))
        other = (m.Method.EXTERNAL, None, due - rest)
        in_cash = (m.Method.CASH, None, cash)
        tenders = tuple(
            t.Tender(method, amount, reference)
            for method, reference, amount in (in_cash, *by_card, other)
        )
        reply = self.bench.sell(*lines, tenders=tenders, tips_minor=tips, by_manager=True)
        total: Counter[UUID] = Counter()
        for item, n, _ in wanted:
            total[item] += n
        if any(self.shelf[item] < n for item, n in total.items()):
            assert reply.code == "insufficient_stock"
            return
        for item, n in total.items():
            self.shelf[item] -= n
        self.units[reply.sale_id] = [n for _, n, _ in wanted]
        self.sold[reply.sale_id] = [sold.total_minor for sold in lines]
        self.paid[reply.sale_id] = due - tips
        self.back[reply.sale_id] = 0
        self.left[reply.sale_id] = [*by_card, other, in_cash]

    @rule(data=st.data(), restock=st.booleans(), to=st.sampled_from([None, m.Method.CASH]))
    def give_back(self, data: st.DataObject, restock: bool, to: m.Method | None) -> None:
        if not self.units:
            return
        sale_id = data.draw(st.sampled_from(list(self.units)))
        left = self.units[sale_id]
        number = data.draw(st.integers(0, len(left) - 1))
        quantity = data.draw(st.integers(1, 5))
        wanted = t.Return(
            uuid7(),
            sale_id,
            REGISTER,
            (t.ReturnLine(number, quantity, restock),),
            refund_to=to,
            by_manager=True,
        )
        reply = self.bench.run(wanted)
        if quantity > left[number]:
            assert (reply.code, reply.facts["left"]) == ("more_than_sold", left[number])
            return
        left[number] -= quantity
        self.back[sale_id] += reply.record.total_minor
        self._refunded(sale_id, reply.record, to)
        if restock:
            self.shelf[self.bench.sale(sale_id).lines[number].item_id] += quantity

    def _refunded(self, sale_id: UUID, record: m.ReturnMade, to: m.Method | None) -> None:
        """Each card gets back what it paid before the next, and so do the other tenders."""
        owed, expected, left = record.total_minor, [], []
        for method, reference, amount in self.left[sale_id]:
            part = min(amount, owed)
            owed -= part
            left.append((method, reference, amount - part))
            if part:
                expected.append(
                    (to, None, part) if to not in (None, method) else (method, reference, part)
                )
        self.left[sale_id] = left
        assert owed == 0
        assert [
            (refund.method, refund.reference, refund.amount_minor) for refund in record.refunds
        ] == expected

    @invariant()
    def what_cards_are_owed_agrees(self) -> None:
        owed = self.bench.rows()["card_refunds"]
        refunded = [
            (record.key.id, number, refund.reference, refund.amount_minor)
            for record in self.bench.ledger
            if isinstance(record.event, m.ReturnMade)
            for number, refund in enumerate(record.event.refunds)
            if refund.method is m.Method.CARD
        ]
        assert [(row[0], row[1], row[3], row[4]) for row in owed] == refunded

    @invariant()
    def goods_agree(self) -> None:
        for item, on_hand in self.shelf.items():
            assert self.bench.stock(item).on_hand == on_hand

    @invariant()
    def money_agrees(self) -> None:
        for sale_id, left in self.units.items():
            sale = self.bench.sale(sale_id)
            refunded = sum(payment.refunded_minor for payment in sale.payments)
            assert refunded == self.back[sale_id] <= self.paid[sale_id]
            assert [line.quantity - line.returned for line in sale.lines] == left
            assert all(payment.refunded_minor <= payment.amount_minor for payment in sale.payments)
            if not any(left):
                assert refunded == self.paid[sale_id], "all units back is all the money back"
                assert sale.status is m.SaleStatus.RETURNED

    @invariant()
    def receipts_and_sums_agree(self) -> None:
        rows = self.bench.rows()
        numbers = [row[1] for row in rows["pos_receipts"]]
        assert numbers == list(range(1, len(numbers) + 1))
        totals = self.bench.shift().totals
        assert totals.sales_minor == sum(self.paid.values())
        assert totals.returns_minor == sum(self.back.values())
        taxed = sum(net + tax for net, tax in totals.taxes.values())
        assert taxed == totals.sales_minor - totals.returns_minor


TestDrawer = DrawerMachine.TestCase
TestDrawer.settings = STEPS
TestCard = CardMachine.TestCase
TestCard.settings = STEPS
TestReturn = ReturnMachine.TestCase
TestReturn.settings = STEPS
