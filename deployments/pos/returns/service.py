"""What comes back: returns against a receipt, voids, and returns without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from actors.till.messages import NewCard, Return, ReturnDone, ReturnLine, ReturnUnreceipted
from actors.till.model import Method, ReturnMade
from core.errors import FieldError, NotFound, ValidationFailed
from core.ids import uuid7
from core.moments import of_ms
from core.money import from_minor
from core.principal import MANAGEMENT, Principal
from core.quantities import to_steps
from core.request import RequestKey
from deployments.kit import desk
from deployments.kit.desk import Draft
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from deployments.pos.gift_cards import codes
from deployments.pos.gift_cards.schemas import CreditOut
from deployments.pos.parameters import cashier_filter
from deployments.pos.places import place_of
from deployments.pos.returns.schemas import (
    NewReturn,
    NewReturnLine,
    NewUnreceiptedReturn,
    NewVoid,
    RefundTo,
    ReturnOut,
)
from deployments.pos.returns.shapes import return_of, return_out
from deployments.pos.sales.tickets import ticket
from gateway.access import tenant_of
from store.catalog import bundles
from store.catalog.bundles import SaleItem
from store.kit.engine import Scope
from store.pos import reading


async def return_goods(
    shared: Resources, principal: Principal, key: RequestKey, sale_id: UUID, body: NewReturn
) -> Ordered[ReturnOut]:
    """Against a receipt. Raises what stands for a refusal."""
    card_id = None
    if body.gift_card_code is not None:
        card_id = codes.card_id(tenant_of(principal), body.gift_card_code)

    async def draft() -> Return:
        return Return(
            uuid7(),
            sale_id,
            body.register_id,
            await _lines(shared, principal, sale_id, body.lines),
            body.refund_to.method,
            card_id,
            _credit(shared, principal, key, body.refund_to),
            body.reason,
            by_manager=principal.role in MANAGEMENT,
            own_only=principal.role not in MANAGEMENT,
        )

    return await _returned(shared, principal, key, draft)


async def _lines(
    shared: Resources, principal: Principal, sale_id: UUID, lines: Sequence[NewReturnLine]
) -> tuple[ReturnLine, ...]:
    """As they were sold: measured so, too. Raises ValidationFailed for a part of a piece, and what
    `_check_variants` raises."""
    scope = Scope(tenant_of(principal))
    async with shared.db.transaction(scope) as tx:
        found = await reading.sale(tx, sale_id)
    sold = {line["number"] + 1: line for line in found[1]} if found else {}
    await _check_variants(
        shared, scope, {number: line["item_id"] for number, line in sold.items()}, lines
    )
    wanted = []
    for place, line in enumerate(lines):
        decimals = sold[line.number]["quantity_decimals"] if line.number in sold else 0
        steps = to_steps(line.quantity, decimals, f"lines[{place}].quantity")
        wanted.append(ReturnLine(line.number - 1, steps, line.restock, line.restock_as, decimals))
    return tuple(wanted)


async def _check_variants(
    shared: Resources, scope: Scope, sold: Mapping[int, UUID], lines: Sequence[NewReturnLine]
) -> None:
    """Raises ValidationFailed where a line would be restocked as what is no variant of what was
    `sold` by that number. The owner of the sale says what is wrong with the line itself."""
    named = {line.restock_as for line in lines if line.restock_as is not None}
    if not named:
        return
    async with shared.db.lookup(scope) as lookup:
        items = {item.item_id: item for item in await bundles.sale_items(lookup, list(named))}
    faults = [
        FieldError(f"lines[{place}].restockAs", "is no variant of what was sold")
        for place, line in enumerate(lines)
        if line.restock_as is not None
        and line.number in sold
        and not _is_variant(items.get(line.restock_as), sold[line.number])
    ]
    if faults:
        raise ValidationFailed(faults)


def _is_variant(item: SaleItem | None, of_id: UUID) -> bool:
    return item is not None and item.variant_id is not None and item.product_id == of_id


async def void(
    shared: Resources, principal: Principal, key: RequestKey, sale_id: UUID, body: NewVoid
) -> Ordered[ReturnOut]:
    """A whole sale, in its own shift. Raises NotFound, and what stands for a refusal."""

    async def draft() -> Return:
        async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
            found = await reading.sale(tx, sale_id)
        if found is None:
            raise NotFound("There is no such sale here.")
        register_id = found[0]["register_id"]
        return Return(
            uuid7(), sale_id, register_id, (), reason=body.reason, void=True, by_manager=True
        )

    return await _returned(shared, principal, key, draft)


async def return_without_receipt(
    shared: Resources, principal: Principal, key: RequestKey, body: NewUnreceiptedReturn
) -> Ordered[ReturnOut]:
    """At what the goods cost today. Raises what `ticket` raises, and what stands for a refusal."""

    async def draft() -> ReturnUnreceipted:
        place = await place_of(shared, principal, body.location_id, body.register_id)
        goods = await ticket(shared, principal, place, body.lines)
        return ReturnUnreceipted(
            uuid7(),
            body.register_id,
            place,
            goods.currency,
            goods.lines,
            tuple(line.restock for line in body.lines),
            Method(body.refund_to.value),
            _credit(shared, principal, key, body.refund_to),
            body.reason,
            by_manager=True,
            measures=goods.measures,
        )

    return await _returned(shared, principal, key, draft)


async def made_return(shared: Resources, principal: Principal, return_id: UUID) -> ReturnOut:
    """As it was written down. Raises NotFound, to a cashier also for one that others made."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        found = await reading.returned(tx, return_id)
    if found is None or cashier_filter(principal) not in (None, found[0]["created_by"]):
        raise NotFound("There is no such return here.")
    return return_of(*found)


def _credit(
    shared: Resources, principal: Principal, key: RequestKey, refund_to: RefundTo
) -> NewCard | None:
    """The gift card that a return is paid with, if it is store credit."""
    if refund_to is not RefundTo.STORE_CREDIT:
        return None
    code = codes.new_code(shared.edge, key.command_id)
    return NewCard(codes.card_id(tenant_of(principal), code), codes.last_four(code))


async def _returned(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    wanted: Return | Draft[ReturnDone],
) -> Ordered[ReturnOut]:
    done, receipts = await desk.send(shared, principal, key, wanted)
    credit = _credit_out(shared, tenant_of(principal), key, done.record)
    return Ordered(return_out(done.return_id, done.record, of_ms(done.at_ms), credit), receipts)


def _credit_out(
    shared: Resources, tenant_id: UUID, key: RequestKey, record: ReturnMade
) -> CreditOut | None:
    """By what was written: the key that signs may be another than at the first try."""
    onto = [refund for refund in record.refunds if refund.method is Method.STORE_CREDIT]
    if not onto or onto[0].card_id is None:
        return None
    code = codes.code_of(shared.edge, key.command_id, tenant_id, onto[0].card_id)
    balance = from_minor(sum(refund.amount_minor for refund in onto), record.currency)
    return CreditOut(code=code, last_four=codes.last_four(code) if code else "", balance=balance)
