"""Card payments on their way, and the sandbox's own ledger.

An intent is what a sale takes by card, a charge for each card. It is written before any of them is
made, and says at any moment what is left to do. A request or the worker that works on one holds it
until `claimed_until`, so that two rarely do the same; that they may is harmless, because every step
is idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from store.kit.schema import exempt, metadata, of_nobody, of_tenant

_WAITING = text("status IN ('charging', 'charged', 'refunding')")

card_payments = Table(
    "card_payments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False, comment="Of the request"),
    Column("status", Text, nullable=False),
    Column("sale_id", Uuid, nullable=False),
    Column("reservation_id", Uuid, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("sale", LargeBinary, nullable=False, comment="The command that completes the sale"),
    Column("problem", Text, comment="Why there is no sale", info=exempt(no_bound="a code of ours")),
    Column("created_by", Text, nullable=False, info=exempt(no_bound="the id of a principal")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("claimed_until", DateTime(timezone=True), nullable=False),
    CheckConstraint(
        "status IN ('charging', 'charged', 'refunding', 'completed', 'declined', 'refunded')",
        name="status_known",
    ),
    Index("ix_card_payments_waiting", "claimed_until", postgresql_where=_WAITING),
    info=of_tenant(app="SELECT, INSERT, UPDATE", owner="ALL"),
)

card_charges = Table(
    "card_charges",
    metadata,
    Column("id", Uuid, primary_key=True, comment="The provider's key; the first is its payment's"),
    Column(
        "payment_id",
        Uuid,
        ForeignKey("card_payments.id"),
        nullable=False,
        info=exempt(no_tenant="made with its payment, in one transaction"),
    ),
    Column("number", Integer, nullable=False, comment="Its place among the sale's payments"),
    Column("tenant_id", Uuid, nullable=False),
    Column("token", Text, nullable=False, info=exempt(no_bound="bounded by its body")),
    Column("amount_minor", BigInteger, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'due'")),
    Column(
        "charge_id",
        Text,
        comment="What the provider calls it",
        info=exempt(no_bound="an id of the provider"),
    ),
    UniqueConstraint("payment_id", "number"),
    CheckConstraint("status IN ('due', 'approved', 'declined', 'refunded')", name="status_known"),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
    info=of_tenant(app="SELECT, INSERT, UPDATE"),
)

# What a payment provider remembers on its side: nobody's of ours, so without a tenant.
sandbox_charges = Table(
    "sandbox_charges",
    metadata,
    Column("key", Text, primary_key=True, info=exempt(no_bound="an id of ours")),
    Column("status", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("status IN ('approved', 'declined', 'canceled')", name="status_known"),
    CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
    info=of_nobody(app="SELECT, INSERT, UPDATE"),
)

sandbox_refunds = Table(
    "sandbox_refunds",
    metadata,
    Column("key", Text, primary_key=True, info=exempt(no_bound="an id of ours")),
    Column("charge_key", Text, nullable=False, info=exempt(no_bound="an id of ours")),
    Column("amount_minor", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
    Index("ix_sandbox_refunds_charge_key", "charge_key"),
    info=of_nobody(app="SELECT, INSERT"),
)


class CardCharge(NamedTuple):
    """What one card pays; `number` is its place among the sale's payments, from 0. status: due ->
    approved or declined; due or approved -> refunded, of which no money is kept."""

    id: UUID
    number: int
    token: str
    amount_minor: int
    status: str
    charge_id: str | None


class CardPayment(NamedTuple):
    """An intent as it stands. `sale` is the command that completes it, as it travels; `charges`
    are in the order in which they are made."""

    id: UUID
    tenant_id: UUID
    fingerprint: bytes
    status: str
    sale_id: UUID
    reservation_id: UUID
    currency: str
    sale: bytes
    problem: str | None
    created_by: str
    charges: tuple[CardCharge, ...]


class Work(NamedTuple):
    """Something to be done for a tenant: an intent, or (with a `number`) a refund of a return."""

    tenant_id: UUID
    id: UUID
    number: int | None


_FIELDS = tuple(card_payments.c[name] for name in CardPayment._fields if name != "charges")
# Both tables have an id, and a status.
_CHARGE = tuple(card_charges.c[name].label(f"charge_{name}") for name in CardCharge._fields)


async def begin(
    tx: AsyncConnection,
    intent: Mapping[str, Any],
    charges: Sequence[Mapping[str, Any]],
    claim_seconds: float,
) -> CardPayment:
    """Writes an intent and its charges, held by the caller; gives the one that is there if it was
    begun before."""
    row = {**intent, "status": "charging", "claimed_until": _from_now(claim_seconds)}
    new = insert(card_payments).inline().values(row).on_conflict_do_nothing()
    if not (await tx.execute(new)).rowcount:
        return await standing(tx, intent["id"])
    await tx.execute(insert(card_charges).inline().values(list(charges)))
    due = tuple(
        CardCharge(
            charge["id"], charge["number"], charge["token"], charge["amount_minor"], "due", None
        )
        for charge in charges
    )
    return CardPayment(**intent, status="charging", problem=None, charges=due)


async def get(tx: AsyncConnection, charge_id: UUID) -> CardPayment | None:
    """An intent of this scope's tenant, by the id of any of its charges; its own is the first's."""
    wanted = select(card_charges.c.payment_id).where(card_charges.c.id == charge_id)
    # In one statement, so that the intent and its charges are of the same moment.
    query = (
        select(*_FIELDS, *_CHARGE)
        .join_from(card_payments, card_charges)
        .where(card_payments.c.id == wanted.scalar_subquery())
        .order_by(card_charges.c.number)
    )
    rows = (await tx.execute(query)).mappings().all()
    if not rows:
        return None
    charges = tuple(
        CardCharge(**{name: row[f"charge_{name}"] for name in CardCharge._fields}) for row in rows
    )
    intent = {column.name: rows[0][column.name] for column in _FIELDS}
    return CardPayment(**intent, charges=charges)


async def note(
    tx: AsyncConnection, payment: CardPayment, charge: CardCharge, status: str, charge_id: str
) -> CardPayment:
    """Writes down what the provider says of a charge; the intent with it, whose own status may
    have been moved by somebody else."""
    noted = await tx.execute(
        update(card_charges)
        .where(card_charges.c.id == charge.id, card_charges.c.status == "due")
        .values(status=status, charge_id=charge_id)
    )
    if not noted.rowcount:
        return await standing(tx, payment.id)
    said = charge._replace(status=status, charge_id=charge_id)
    charges = tuple(said if other.id == charge.id else other for other in payment.charges)
    return payment._replace(charges=charges)


async def give_back(tx: AsyncConnection, intent_id: UUID) -> None:
    """No money of an intent's charges is kept any more."""
    await tx.execute(
        update(card_charges)
        .where(card_charges.c.payment_id == intent_id, card_charges.c.status != "declined")
        .values(status="refunded")
    )


async def advance(
    tx: AsyncConnection,
    payment: CardPayment,
    expected: str,
    status: str,
    problem: str | None = None,
) -> CardPayment:
    """Moves an intent from one status to the next, unless somebody else has moved it: then as it
    stands. Its charges are read again only then."""
    changes = {"status": status} | ({} if problem is None else {"problem": problem})
    moved = await tx.execute(
        update(card_payments)
        .where(card_payments.c.id == payment.id, card_payments.c.status == expected)
        .values(changes)
    )
    if not moved.rowcount:
        return await standing(tx, payment.id)
    return payment._replace(status=status, problem=problem or payment.problem)


async def hold(tx: AsyncConnection, intent_id: UUID, seconds: float) -> None:
    """Keeps the worker from an intent for so long, or lets it have it then."""
    await tx.execute(
        update(card_payments)
        .where(card_payments.c.id == intent_id)
        .values(claimed_until=_from_now(seconds))
    )


async def claim(tx: AsyncConnection, claim_seconds: float, limit: int) -> list[Work]:
    """Work of any tenant that nobody holds, now held by the caller, the oldest first. Attempts
    come further and further apart, up to some minutes."""
    rows = await tx.execute(
        text("SELECT tenant_id, id, number FROM claim_card_work(:seconds, :limit)"),
        {"seconds": claim_seconds, "limit": limit},
    )
    return [Work(row.tenant_id, row.id, row.number) for row in rows]


# --- the sandbox's side --------------------------------------------------------------------


async def sandbox_charge(
    tx: AsyncConnection, key: str, status: str, amount_minor: int, currency: str
) -> str:
    """Records what became of a charge, once per key; returns what was recorded first."""
    await tx.execute(
        insert(sandbox_charges)
        .values(key=key, status=status, amount_minor=amount_minor, currency=currency)
        .on_conflict_do_nothing()
    )
    found = await sandbox_find(tx, key)
    if found is None:
        raise RuntimeError("a charge is never deleted")
    return str(found.status)


async def sandbox_find(tx: AsyncConnection, key: str, *, lock: bool = False) -> Any:
    query = select(sandbox_charges).where(sandbox_charges.c.key == key)
    return (await tx.execute(query.with_for_update() if lock else query)).first()


async def sandbox_refund(tx: AsyncConnection, key: str, charge_key: str, amount_minor: int) -> bool:
    """Gives back part of an approved charge, once per key; False beyond what was charged."""
    charge = await sandbox_find(tx, charge_key, lock=True)
    query = select(sandbox_refunds.c.key, sandbox_refunds.c.amount_minor).where(
        sandbox_refunds.c.charge_key == charge_key
    )
    made = {row.key: row.amount_minor for row in await tx.execute(query)}
    if key in made:
        return True
    if charge is None or charge.status != "approved":
        return False
    if sum(made.values()) + amount_minor > charge.amount_minor:
        return False
    row = {"key": key, "charge_key": charge_key, "amount_minor": amount_minor}
    await tx.execute(insert(sandbox_refunds).values(row))
    return True


async def standing(tx: AsyncConnection, intent_id: UUID) -> CardPayment:
    """An intent that is there."""
    found = await get(tx, intent_id)
    if found is None:
        raise RuntimeError("an intent is never deleted")
    return found


def _from_now(seconds: float) -> Any:
    return func.now() + text(f"interval '{float(seconds)} seconds'")
