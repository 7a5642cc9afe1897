"""What is done about transfers, by commands to the owner of the stock."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from actors.messages import Command
from actors.stock.model import Line
from actors.stock.rows import TransferRow
from actors.stock.transfers import (
    GetTransfer,
    ReceiveTransfer,
    ReceiveTransferLines,
    StartTransfer,
    Transfer,
    TransferReply,
    restore,
)
from core.errors import FieldError, ValidationFailed
from core.ids import uuid7
from core.moments import of_ms, to_ms
from core.principal import Principal
from core.quantities import from_steps, to_steps
from core.request import RequestKey
from deployments.inventory.stock.service import check
from deployments.inventory.transfers.schemas import (
    Arrival,
    NewTransfer,
    TransferLineOut,
    TransferOut,
)
from deployments.kit import desk
from deployments.kit.desk import Draft
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from gateway.access import tenant_of
from store.kit.paging import Row


async def start(
    shared: Resources, principal: Principal, key: RequestKey, body: NewTransfer
) -> Ordered[TransferOut]:
    """All lines go, or none. Raises NotFound, ChooseVariant, BundleHasNoStock, ValidationFailed
    where both ends are one location, and what stands for a refusal."""

    async def draft() -> StartTransfer:
        tenant_id = tenant_of(principal)
        goods = await check(
            shared,
            principal,
            [line.product_id for line in body.lines],
            (body.from_location_id, body.to_location_id),
        )
        source = body.from_location_id or tenant_id
        target = body.to_location_id or tenant_id
        if source == target:
            message = "must be another location than `fromLocationId`"
            raise ValidationFailed([FieldError("toLocationId", message)])
        lines = tuple(
            Line(
                line.product_id,
                goods.steps(line.product_id, line.quantity, f"lines[{number}].quantity"),
            )
            for number, line in enumerate(body.lines)
        )
        return StartTransfer(
            uuid7(), lines, source, target, body.ship, body.reference, goods.measures
        )

    return await decided(shared, principal, key, draft)


async def receive(
    shared: Resources, principal: Principal, key: RequestKey, transfer_id: UUID, body: Arrival
) -> Ordered[TransferOut]:
    """What is named has come, or all of it. Raises NotFound, and what stands for a refusal."""
    named = body.lines
    if named is None:
        return await decided(shared, principal, key, ReceiveTransfer(transfer_id))

    async def draft() -> ReceiveTransferLines:
        reply = await desk.ask(shared, principal, GetTransfer(transfer_id))
        # What is on its way is measured as its goods are, permanently.
        decimals = _decimals_of(reply)
        lines = tuple(
            Line(
                line.product_id,
                to_steps(
                    line.quantity, decimals.get(line.product_id, 0), f"lines[{number}].quantity"
                ),
            )
            for number, line in enumerate(named)
        )
        return ReceiveTransferLines(transfer_id, lines)

    return await decided(shared, principal, key, draft)


async def decided(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    wanted: Command[TransferReply] | Draft[TransferReply],
) -> Ordered[TransferOut]:
    """Has the owner decide. Raises the error that stands for a refusal."""
    return (await desk.send(shared, principal, key, wanted)).to(_transfer_out)


async def transfer(shared: Resources, principal: Principal, transfer_id: UUID) -> TransferOut:
    """From its owner. Raises NotFound."""
    return _transfer_out(await desk.ask(shared, principal, GetTransfer(transfer_id)))


def transfer_of(row: Row) -> TransferOut:
    """As a list has it."""
    columns = {name: row[name] for name in TransferRow._fields}
    for name in ("created_at", "closed_at"):
        columns[name] = None if columns[name] is None else to_ms(columns[name])
    decimals = dict(zip(row["product_ids"], row["decimals"], strict=True))
    return _shown(row["id"], restore(TransferRow(**columns)), decimals)


def _transfer_out(reply: TransferReply) -> TransferOut:
    return _shown(reply.transfer_id, reply.transfer, _decimals_of(reply))


def _decimals_of(reply: TransferReply) -> dict[UUID, int]:
    return {level.product_id: level.decimals for level in reply.levels}


def _shown(transfer_id: UUID, known: Transfer, decimals: Mapping[UUID, int]) -> TransferOut:
    outstanding = dict(known.outstanding)
    return TransferOut(
        id=transfer_id,
        status=known.status,
        from_location_id=known.from_location_id,
        to_location_id=known.to_location_id,
        lines=[
            TransferLineOut(
                product_id=product_id,
                quantity=from_steps(quantity, decimals[product_id]),
                received=from_steps(came, decimals[product_id]),
                outstanding=from_steps(outstanding.get(product_id, 0), decimals[product_id]),
            )
            for (product_id, quantity), came in zip(known.lines, known.came, strict=True)
        ],
        reference=known.reference,
        created_by=known.created_by,
        created_at=of_ms(known.created_at_ms),
        closed_at=None if known.closed_at_ms is None else of_ms(known.closed_at_ms),
    )
