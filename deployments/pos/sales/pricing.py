"""What a basket costs. Pure; amounts are in minor units of the location's currency.

What a line costs is rounded once (`core.money.line_minor`), and so is its tax, half away from
zero. Prices that include tax: tax = total * rate / (1 + rate), and the total stays what it was.
Prices without tax: tax = amount * rate, added on top. A discount on the whole sale is spread over
the lines by what each costs after its own discount, to the cent by largest remainder, before tax
is worked out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import starmap
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from actors.stock.model import Measure, Measures
from actors.till.model import MAX_AMOUNT_MINOR, PPM, Part, SaleLine
from core.cash import NO_ROUNDING
from core.errors import ChooseVariant, FieldError, NotFound, ValidationFailed
from core.money import line_minor, to_minor
from core.quantities import to_steps
from deployments.pos.errors import CurrencyMismatch
from deployments.pos.sales.price_book import Name
from deployments.pos.sales.schemas import NewDiscount, NewLine, Units
from store.business.profile import TillTerms
from store.catalog.bundles import SaleItem

MAX_TAKEN = 1_000_000
_NONE: Mapping[int, SaleLine] = {}


B = TypeVar("B", bound=Units)


class Wanted(NamedTuple, Generic[B]):
    """A line of the request, its place, the item that it names, and how many steps of it."""

    place: int
    body: B
    item: SaleItem
    steps: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """A priced basket; `tax_exemption` says why the customer pays no tax, if that is so."""

    currency: str
    prices_include_tax: bool
    lines: tuple[SaleLine, ...]
    tips_minor: int
    tax_exemption: str | None = None
    cash_step_minor: int = NO_ROUNDING
    measures: Measures = ()

    @property
    def due_minor(self) -> int:
        return sum(line.total_minor for line in self.lines) + self.tips_minor


def priced(
    bodies: Sequence[NewLine],
    items: Mapping[Name, SaleItem],
    terms: TillTerms,
    discount: NewDiscount | None = None,
    tips: Decimal = Decimal(0),
    gift_cards: Mapping[int, SaleLine] = _NONE,
    tax_exemption: str | None = None,
) -> Ticket:
    """`items` by their names, perhaps among others; `gift_cards` by the place of their line, which
    no discount touches. With a `tax_exemption` no line is taxed. Raises NotFound or
    ValidationFailed, naming the field; ChooseVariant, CurrencyMismatch."""
    wanted = chosen(bodies, items, gift_cards)
    currency = terms.currency
    listed, own = [], []
    for place, _, item, steps in wanted:
        if item.currency != currency:
            raise CurrencyMismatch(extra={"productId": str(item.product_id), "currency": currency})
        amount = line_minor(item.price_minor, steps, item.decimals)
        if amount > MAX_AMOUNT_MINOR:
            raise _bad(f"lines[{place}].quantity", "makes the line too expensive")
        listed.append(amount)
        own.append(_discount(bodies[place].discount, amount, currency, f"lines[{place}].discount"))
    left = [amount - less for amount, less in zip(listed, own, strict=True)]
    off = _discount(discount, sum(left), currency, "discount")
    shares = spread(off, left)
    lines = dict(gift_cards) | {
        line.place: _line(line, less + share, terms, taxed=tax_exemption is None)
        for line, less, share in zip(wanted, own, shares, strict=True)
    }
    in_order = tuple(lines[place] for place in range(len(bodies)))
    tips_minor = to_minor(tips, currency, "tips")
    measures = measures_of(item for _, _, item, _ in wanted)
    ticket = Ticket(
        currency,
        terms.prices_include_tax,
        in_order,
        tips_minor,
        tax_exemption,
        terms.cash_step_minor,
        measures,
    )
    if ticket.due_minor > MAX_AMOUNT_MINOR:
        raise _bad("lines", "cost too much together")
    return ticket


def chosen(
    bodies: Sequence[B], items: Mapping[Name, SaleItem], but: Container[int] = ()
) -> list[Wanted[B]]:
    """The items that lines name, `but` those at some places. Raises NotFound or ValidationFailed,
    naming the field; ChooseVariant."""
    wanted = []
    for place, body in enumerate(bodies):
        if place not in but:
            item = _found(body, place, items)
            steps = to_steps(body.quantity, item.decimals, f"lines[{place}].quantity")
            wanted.append(Wanted(place, body, item, steps))
    _check_parts(wanted)
    return wanted


def parts_of(item: SaleItem) -> tuple[Part, ...]:
    """What leaves the shelf for each step: of a service nothing."""
    if item.kind == "service":
        return ()
    parts = tuple(Part(part.item_id, part.quantity) for part in item.components)
    return parts or (Part(item.item_id, 1),)


def measures_of(items: Iterable[SaleItem]) -> Measures:
    """How what leaves the shelf for them is measured; nothing is said of pieces."""
    measured: dict[UUID, int] = {}
    for item in items:
        for part in item.components:
            if part.decimals:
                measured[part.item_id] = part.decimals
        if item.decimals and item.kind != "service":
            measured[item.item_id] = item.decimals
    return tuple(starmap(Measure, measured.items()))


def spread(amount: int, over: Sequence[int]) -> list[int]:
    """`amount` in parts that are proportional to `over` and add up to it: what rounding down
    leaves goes, unit by unit, to the largest remainders, the earliest first. None is given more
    than it has, as long as `amount` is no more than all have."""
    whole = sum(over)
    if not amount or not whole:
        return [0] * len(over)
    parts = [amount * weight // whole for weight in over]
    remainders = [amount * weight % whole for weight in over]
    latest = sorted(range(len(over)), key=lambda place: (-remainders[place], place))
    for place in latest[: amount - sum(parts)]:
        parts[place] += 1
    return parts


def tax_of(amount_minor: int, rate_ppm: int, *, included: bool) -> int:
    """The tax in an amount, or on it; rounded half away from zero. Amounts are not negative."""
    if included:
        return (2 * amount_minor * rate_ppm + PPM + rate_ppm) // (2 * (PPM + rate_ppm))
    return (2 * amount_minor * rate_ppm + PPM) // (2 * PPM)


def _line(
    wanted: Wanted[NewLine], discount_minor: int, terms: TillTerms, *, taxed: bool
) -> SaleLine:
    """Where prices include tax, one that is not taxed costs its price without it."""
    _, _, item, steps = wanted
    rate = terms.rate(item.tax_class_id)
    rate_ppm = rate.rate_ppm if rate else 0
    amount = line_minor(item.price_minor, steps, item.decimals) - discount_minor
    tax = tax_of(amount, rate_ppm, included=terms.prices_include_tax)
    if not taxed:
        amount -= tax if terms.prices_include_tax else 0
        rate_ppm = tax = 0
    return SaleLine(
        item.item_id,
        item.product_id,
        item.name,
        item.sku,
        steps,
        item.price_minor,
        discount_minor,
        rate_ppm,
        tax,
        amount if terms.prices_include_tax else amount + tax,
        parts_of(item),
        decimals=item.decimals,
        unit=item.unit,
    )


def _found(body: Units, place: int, items: Mapping[Name, SaleItem]) -> SaleItem:
    field, kind, name = body.named
    item = items.get((kind, name))
    if item is None:
        named = FieldError(f"lines[{place}].{field}", "is nothing that is sold here")
        raise NotFound("There is no such product here.", errors=[named])
    if item.kind == "parent":
        raise ChooseVariant(extra={"productId": str(item.product_id)})
    return item


def _check_parts(wanted: Sequence[Wanted[B]]) -> None:
    """No more of one item than one command may move."""
    total: dict[object, int] = {}
    for place, _, item, steps in wanted:
        decimals = {part.item_id: part.decimals for part in item.components}
        for part_id, each in parts_of(item):
            total[part_id] = total.get(part_id, 0) + each * steps
            if total[part_id] > MAX_TAKEN * 10 ** decimals.get(part_id, item.decimals):
                raise _bad(f"lines[{place}].quantity", f"comes to more than {MAX_TAKEN} units")


def _discount(discount: NewDiscount | None, amount: int, currency: str, field: str) -> int:
    if discount is None:
        return 0
    if discount.percent is not None:
        return int((Decimal(amount) * discount.percent / 100).to_integral_value(ROUND_HALF_UP))
    less = to_minor(discount.amount or Decimal(0), currency, f"{field}.amount")
    if less > amount:
        raise _bad(f"{field}.amount", "is more than what it is taken from")
    return less


def _bad(field: str, message: str) -> ValidationFailed:
    return ValidationFailed([FieldError(field, message)])
