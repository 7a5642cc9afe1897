"""Sales that were made offline: what was charged is checked and taken, never priced again."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid5

from actors.runtime.wire import MAX_RECEIPTS, Receipt, decode_logged
from actors.till.messages import SaleKnown, SaleMade, Sell, Tender
from actors.till.model import MAX_AMOUNT_MINOR, Method, Offline, SaleLine
from core import percents
from core.cash import custom_step_minor
from core.errors import FieldError, HoldfastError, NotFound, ValidationFailed
from core.money import line_minor, to_minor
from core.principal import MANAGEMENT, Principal
from core.request import RequestKey
from deployments.inventory.stock.changes import occurred_ms
from deployments.kit import desk
from deployments.kit.receipts import Ordered, Receipts
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.pos import customers
from deployments.pos.errors import ClientSaleIdReused
from deployments.pos.offline.schemas import (
    NewOfflineLine,
    NewOfflineSale,
    OfflineResultOut,
    OfflineResultsOut,
    Unreadable,
)
from deployments.pos.places import place_of
from deployments.pos.sales import pricing
from deployments.pos.sales.price_book import PRICE_BOOK, Name, Prices
from deployments.pos.sales.pricing import Wanted
from gateway.access import tenant_of
from gateway.errors import Problem, document
from store.catalog import bundles
from store.catalog.bundles import SaleItem
from store.crm.customers import Buyer
from store.kit.commands import Recorded, answered, logged_replies, once
from store.kit.engine import Scope, Transaction
from store.people import members
from store.pos import reading

# A register's clock may be fast by so much: the sale counts as sold now, and says so.
MAX_CLOCK_AHEAD_MS = 5 * 60_000
Entries = Sequence[NewOfflineSale | Unreadable]


def sale_id(tenant_id: UUID, client_sale_id: UUID) -> UUID:
    """The sale's id: the same for each upload of the same sale, and another in each business."""
    return uuid5(tenant_id, f"offline sale {client_sale_id}")


@dataclass(frozen=True, slots=True)
class _Known:
    """What is looked up before a batch is judged: by id, the sales that are in already; of those
    who are said to have sold, the members; by location, its terms and the goods that are named; by
    register, the location of those that sold without saying where; by id, the customers, those too
    that were deleted since."""

    uploaded: Mapping[UUID, Any]
    members: frozenset[UUID]
    prices: Mapping[UUID, Prices]
    places: Mapping[UUID, UUID]
    buyers: Mapping[UUID, Buyer]


@dataclass(frozen=True, slots=True)
class Upload:
    """One request with a batch. `record` may be repeated at any time, by anyone: what makes a
    sale happen once is its own id, in the hands of the owner of drawer and stock."""

    shared: Resources
    principal: Principal
    key: RequestKey
    request_id: str

    async def record(self, entries: Entries) -> Ordered[Made[OfflineResultsOut]]:
        """Has each recorded that can be. Raises IdempotencyMismatch, and what keeps all of them
        from being judged; then it is not known which are in, and to be asked again."""
        tenant_id = tenant_of(self.principal)
        async with self.shared.db.transaction(Scope(tenant_id)) as tx:
            before = await answered(tx, self.key)
            if before is not None:
                return Ordered(Made(before), await self._receipts(tx, len(entries)))
            sales = [entry for entry in entries if isinstance(entry, NewOfflineSale)]
            ids = {sale_id(tenant_id, sale.client_sale_id) for sale in sales}
            uploaded = await reading.uploaded(tx, ids)
            cashiers = {sale.cashier_id for sale in sales if sale.cashier_id is not None}
            staff = await members.among(tx, cashiers)
        named = {sale.customer_id for sale in sales if sale.customer_id is not None}
        sold_to = (
            await customers.buyers(self.shared, tenant_id, named, deleted=True) if named else {}
        )
        places = await self._places(sales)
        goods = await self._goods(tenant_id, sales, places)
        known = _Known(uploaded, staff, goods, places, sold_to)
        outcomes = await asyncio.gather(
            *(self._outcome(place, entry, known) for place, entry in enumerate(entries)),
            return_exceptions=True,
        )
        results = [
            self._rejected(entry, outcome) if isinstance(outcome, BaseException) else outcome
            for entry, outcome in zip(entries, outcomes, strict=True)
        ]
        sizes = Counter(result.status for result in results)
        counted = {name: sizes[name] for name in ("recorded", "repeated", "rejected")}
        made = Made.of(OfflineResultsOut(**counted, sales=results))
        async with self.shared.db.transaction(Scope(tenant_id)) as tx:
            receipts = await self._receipts(tx, len(entries))
            # As with any refusal: the same request may ask anew.
            if not counted["rejected"]:
                made = Made(await once(tx, tenant_id, self.key, lambda: _given(made.recorded)))
        return Ordered(made, receipts)

    async def _receipts(self, tx: Transaction, entries: int) -> Receipts:
        """Of what the request has had decided, now or at an earlier try: each aggregate once, with
        its latest decision."""
        steps = [self._step(place).command_id for place in range(entries)]
        replies = await logged_replies(tx, steps)
        latest: dict[str, Receipt] = {}
        for step in steps:
            for receipt in decode_logged(replies[step]).receipts if step in replies else ():
                known = latest.setdefault(receipt.aggregate, receipt)
                if known.sequence < receipt.sequence:
                    latest[receipt.aggregate] = receipt
        return tuple(latest.values())[:MAX_RECEIPTS]

    def _step(self, place: int) -> RequestKey:
        return self.key.step(f"offline sale {place}")

    async def _places(self, sales: Sequence[NewOfflineSale]) -> dict[UUID, UUID]:
        registers = {sale.register_id for sale in sales if sale.location_id is None}
        return {
            register_id: await place_of(self.shared, self.principal, None, register_id)
            for register_id in registers
        }

    async def _goods(
        self, tenant_id: UUID, sales: Sequence[NewOfflineSale], places: Mapping[UUID, UUID]
    ) -> dict[UUID, Prices]:
        """Terms and items by location, without locations that are not there; by id also what was
        deleted since."""
        named: dict[UUID, set[Name]] = defaultdict(set)
        for sale in sales:
            place = sale.location_id or places[sale.register_id]
            named[place].update(line.named[1:] for line in sale.lines)
        found = {}
        for place, names in named.items():
            prices = await PRICE_BOOK.of(self.shared).prices(tenant_id, place, names)
            if prices is None:
                continue
            missing = [name for kind, name in names - prices.items.keys() if kind == "id"]
            if missing:
                items = {**prices.items, **await self._gone(tenant_id, missing)}
                prices = prices._replace(items=items)
            found[place] = prices
        return found

    async def _gone(self, tenant_id: UUID, ids: Sequence[Any]) -> dict[Name, SaleItem]:
        async with self.shared.db.lookup(Scope(tenant_id)) as lookup:
            items = await bundles.sale_items(lookup, ids, deleted=True)
        return {("id", item.item_id): item for item in items}

    async def _outcome(
        self, place: int, entry: NewOfflineSale | Unreadable, known: _Known
    ) -> OfflineResultOut:
        if isinstance(entry, Unreadable):
            raise ValidationFailed(entry.errors)
        tenant_id = tenant_of(self.principal)
        before = known.uploaded.get(sale_id(tenant_id, entry.client_sale_id))
        if before is not None:
            # Also when it could not be recorded any more: it is too old by now, or its goods or
            # its register are gone.
            if before["upload_digest"] != entry.digest():
                raise ClientSaleIdReused(extra={"saleId": str(before["id"])})
            number, shift_id = before["receipt_number"], before["shift_id"]
            return _result(entry, "repeated", before["id"], number, shift_id)
        draft = self._draft(entry, known)
        reply, _ = await desk.send(self.shared, self.principal, self._step(place), draft)
        if isinstance(reply, SaleMade):
            sale = reply.sold.sale
            return _result(entry, "recorded", draft.sale_id, sale.receipt_number, sale.shift_id)
        if not isinstance(reply, SaleKnown):
            raise TypeError(f"a sale was answered {type(reply).__name__}")
        sale = reply.sale
        return _result(entry, "repeated", draft.sale_id, sale.receipt_number, sale.shift_id)

    def _draft(self, entry: NewOfflineSale, known: _Known) -> Sell:
        """The command that records the sale. Raises ValidationFailed or NotFound, naming the
        field; ChooseVariant."""
        tenant_id = tenant_of(self.principal)
        place = entry.location_id or known.places[entry.register_id]
        there = known.prices.get(place)
        if there is None:
            raise NotFound("There is no such location here.")
        currency = there.terms.currency
        cashier = self.principal.id
        if entry.cashier_id is not None and str(entry.cashier_id) != cashier:
            if entry.cashier_id not in known.members:
                raise ValidationFailed([FieldError("cashierId", "is nobody who works here")])
            cashier = str(entry.cashier_id)
        occurred_at_ms = occurred_ms(self.key, entry.occurred_at, "occurredAt", MAX_CLOCK_AHEAD_MS)
        if occurred_at_ms is None:
            raise ValueError("an offline sale says when it happened")
        wanted = pricing.chosen(entry.lines, there.items)
        lines = charged(wanted, currency, entry)
        spared = None
        if entry.customer_id is not None:
            sold_to = customers.known(known.buyers, entry.customer_id)
            # As it was charged: who was spared tax by then and paid it has paid it.
            if not any(line.tax_rate_ppm or line.tax_minor for line in lines):
                spared = customers.exemption(sold_to, occurred_at_ms, there.terms.time_zone)
        tips_minor = to_minor(entry.tips, currency, "tips")
        due_minor = sum(line.total_minor for line in lines) + tips_minor
        _check_total(entry, due_minor, currency)
        step_minor = max(there.terms.cash_step_minor, custom_step_minor(currency))
        rounding_minor = _rounding(entry, currency, step_minor)
        return Sell(
            sale_id(tenant_id, entry.client_sale_id),
            entry.register_id,
            place,
            currency,
            lines,
            tuple(
                Tender(
                    Method(paid.method),
                    to_minor(paid.amount, currency, f"payments[{number}].amount"),
                    paid.reference,
                )
                for number, paid in enumerate(entry.payments)
            ),
            tips_minor,
            entry.prices_include_tax,
            entry.customer_id,
            entry.note,
            by_manager=self.principal.role in MANAGEMENT,
            offline=Offline(
                entry.client_sale_id,
                occurred_at_ms,
                cashier,
                entry.digest(),
                entry.offline_number,
                max(occurred_at_ms - self.key.arrived_ms, 0),
            ),
            tax_exemption=spared,
            rounding_minor=rounding_minor,
            measures=pricing.measures_of(line.item for line in wanted),
        )

    def _rejected(
        self, entry: NewOfflineSale | Unreadable, error: BaseException
    ) -> OfflineResultOut:
        """Raises what says nothing about the sale itself: then nothing was judged."""
        if not isinstance(error, HoldfastError) or error.status >= 500 or error.status == 429:
            raise error
        problem = Problem.model_validate(document(error, self.request_id))
        return OfflineResultOut(
            client_sale_id=entry.client_sale_id, status="rejected", problem=problem
        )


def charged(
    wanted: Iterable[Wanted[NewOfflineLine]], currency: str, entry: NewOfflineSale
) -> tuple[SaleLine, ...]:
    """The lines as they were charged. Raises ValidationFailed where one does not add up."""
    return tuple(_line(line, currency, entry) for line in wanted)


def _line(wanted: Wanted[NewOfflineLine], currency: str, entry: NewOfflineSale) -> SaleLine:
    place, said, item, steps = wanted
    path = f"lines[{place}]"
    unit = to_minor(said.unit_price, currency, f"{path}.unitPrice")
    discount = to_minor(said.discount, currency, f"{path}.discount")
    tax = to_minor(said.tax, currency, f"{path}.tax")
    total = to_minor(said.total, currency, f"{path}.total")
    rate_ppm = percents.to_ppm(said.tax_percent)
    amount = line_minor(unit, steps, item.decimals) - discount
    if amount < 0:
        raise _bad(f"{path}.discount", "is more than what it is taken from")
    due = pricing.tax_of(amount, rate_ppm, included=entry.prices_include_tax)
    if abs(tax - due) > _tax_off_minor(1 if item.decimals else steps):
        raise _bad(f"{path}.tax", "is not what taxPercent makes of the amount")
    if total != (amount if entry.prices_include_tax else amount + tax):
        raise _bad(f"{path}.total", "is not quantity x unitPrice - discount, with the tax")
    if total > MAX_AMOUNT_MINOR or tax > total:
        raise _bad(f"{path}.total", "is out of bounds")
    return SaleLine(
        item.item_id,
        item.product_id,
        item.name,
        item.sku,
        steps,
        unit,
        discount,
        rate_ppm,
        tax,
        total,
        pricing.parts_of(item),
        decimals=item.decimals,
        unit=item.unit,
    )


def _tax_off_minor(quantity: int) -> int:
    """How far tax may be from ours: a register may round it for each piece, by half a unit at most,
    or a line in another way, by less than a unit."""
    return max(1, -(-quantity // 2))


def _check_total(entry: NewOfflineSale, due_minor: int, currency: str) -> None:
    if due_minor > MAX_AMOUNT_MINOR:
        raise _bad("lines", "cost too much together")
    if to_minor(entry.total, currency, "total") != due_minor:
        raise _bad("total", "is not what the lines and the tips come to")


def _rounding(entry: NewOfflineSale, currency: str, step_minor: int) -> int:
    """How the cash was rounded, by less than a coin: up, down or to the nearest, and also where the
    business has changed its mind since, for so it was charged."""
    rounding_minor = to_minor(entry.cash_rounding, currency, "cashRounding")
    if rounding_minor and all(paid.method != "cash" for paid in entry.payments):
        raise _bad("cashRounding", "is for what is paid in cash")
    if abs(rounding_minor) >= step_minor:
        raise _bad("cashRounding", "is not less than the smallest coin")
    return rounding_minor


def _result(
    entry: NewOfflineSale,
    status: Literal["recorded", "repeated"],
    made_id: UUID,
    number: int,
    shift_id: UUID,
) -> OfflineResultOut:
    return OfflineResultOut(
        client_sale_id=entry.client_sale_id,
        status=status,
        sale_id=made_id,
        receipt_number=number,
        shift_id=shift_id,
    )


def _bad(name: str, message: str) -> ValidationFailed:
    return ValidationFailed([FieldError(name, message)])


async def _given(answer: Recorded) -> Recorded:
    return answer
