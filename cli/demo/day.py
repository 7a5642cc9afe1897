"""The plan of a shop's day: who buys what at which register, how they pay, what comes back. Pure.

The plan is a list that many clients work through in its order. A cancellation of the file becomes
returns of sales that stand before it in the plan, the oldest first; a client that comes to a return
waits for its sale, which another has begun by then, so no client waits without end.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cli.demo.retail import Invoice
from cli.demo.tenders import Tender, tender_of

DISCOUNT_PERCENT = 5
_DISCOUNT_EACH = 7
_DRAWER_EACH = 12
_DRAWER_MOVES = (("no_sale", 0), ("paid_in", 2000), ("paid_out", 2000))


@dataclass(frozen=True, slots=True)
class Purchase:
    """An invoice at a register, units by SKU."""

    reference: str
    register: int
    units: dict[str, int]
    tender: Tender
    discount_percent: int = 0


@dataclass(frozen=True, slots=True)
class PlannedReturn:
    """Units by SKU of one purchase come back, to the register where they were sold."""

    reference: str
    purchase: Purchase
    units: dict[str, int]


@dataclass(frozen=True, slots=True)
class NeverSold:
    """The file cancels what it had not sold: the goods come back, the money is not the till's."""

    reference: str
    units: dict[str, int]


@dataclass(frozen=True, slots=True)
class DrawerMove:
    """Cash in or out beside sales, as much out as in; or the drawer is just opened."""

    reference: str
    register: int
    kind: str
    amount_minor: int


Job = Purchase | PlannedReturn | NeverSold | DrawerMove


def plan_day(invoices: Sequence[Invoice], rounds: int, registers: int) -> list[Job]:
    """What happens, in order: the invoices so often, at the registers in turn."""
    return list(_Planner(registers).jobs(invoices, rounds))


@dataclass(slots=True)
class _Sold:
    """What has not come back yet of a line of a purchase."""

    purchase: Purchase
    left: int


@dataclass
class _Planner:
    registers: int
    _purchases: int = 0
    _sold: dict[str, deque[_Sold]] = field(default_factory=lambda: defaultdict(deque))

    def jobs(self, invoices: Sequence[Invoice], rounds: int) -> Iterator[Job]:
        for number in range(1, rounds + 1):
            for invoice in invoices:
                reference = invoice.number if rounds == 1 else f"{invoice.number}/{number}"
                if invoice.is_return:
                    yield from self._returns(reference, invoice)
                else:
                    yield from self._purchase(reference, invoice)

    def _purchase(self, reference: str, invoice: Invoice) -> Iterator[Job]:
        number = self._purchases
        self._purchases += 1
        register = number % self.registers
        discount = 0 if (number + 1) % _DISCOUNT_EACH else DISCOUNT_PERCENT
        units = dict(invoice.units)
        purchase = Purchase(reference, register, units, tender_of(number), discount)
        yield purchase
        for sku, quantity in units.items():
            self._sold[sku].append(_Sold(purchase, quantity))
        if (number + 1) % _DRAWER_EACH == 0:
            yield self._drawer_move(number // _DRAWER_EACH)

    def _drawer_move(self, number: int) -> DrawerMove:
        # One register after the other has all of them, so that what is put in is taken out.
        turn, place = divmod(number, len(_DRAWER_MOVES))
        kind, amount_minor = _DRAWER_MOVES[place]
        return DrawerMove(f"drawer-{number}", turn % self.registers, kind, amount_minor)

    def _returns(self, reference: str, invoice: Invoice) -> Iterator[Job]:
        backs: dict[str, PlannedReturn] = {}
        unknown: Counter[str] = Counter()
        for sku, quantity in invoice.units.items():
            left = quantity
            queue = self._sold[sku]
            while left and queue:
                sold = queue[0]
                units = min(left, sold.left)
                left, sold.left = left - units, sold.left - units
                if not sold.left:
                    queue.popleft()
                of = sold.purchase.reference
                back = backs.setdefault(
                    of, PlannedReturn(f"{reference}-of-{of}", sold.purchase, {})
                )
                back.units[sku] = back.units.get(sku, 0) + units
            if left:
                unknown[sku] += left
        yield from backs.values()
        if unknown:
            yield NeverSold(f"{reference}-unsold", dict(unknown))
