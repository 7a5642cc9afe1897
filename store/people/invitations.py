"""Invitations to work for a business: the table and its queries, behind the wall.

The token of a link is nowhere in here: it is an HMAC over the invitation's id and nonce with a
key that the database does not know (`gateway.links`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Uuid,
    and_,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import Part, Span
from store.kit.paging import falling, page
from store.kit.schema import metadata, moment, of_tenant

MAX_OPEN = 200

invitations = Table(
    "invitations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("email", String(254), nullable=False),
    Column("role", String(20), nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("created_by", Uuid, ForeignKey("users.id"), nullable=False),
    moment("created_at", server_default=func.now()),
    moment("expires_at"),
    moment("accepted_at", nullable=True),
    Column("accepted_by", Uuid, ForeignKey("users.id")),
    moment("revoked_at", nullable=True),
    CheckConstraint("role IN ('manager', 'staff', 'cashier')", name="role"),
    CheckConstraint("octet_length(nonce) = 16", name="nonce"),
    CheckConstraint("email = lower(email)", name="email_lower"),
    Index("ix_invitations_newest", "tenant_id", "created_at", "id"),
    Index(
        "uq_invitations_open",
        "tenant_id",
        "email",
        unique=True,
        postgresql_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
    ),
    info=of_tenant(app="SELECT, INSERT, UPDATE"),
)


@dataclass(frozen=True, slots=True)
class Invitation:
    """`role` is manager, staff or cashier."""

    id: UUID
    tenant_id: UUID
    email: str
    role: str
    nonce: bytes
    created_by: UUID
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None
    open: bool


_OPEN: ColumnElement[bool] = and_(
    invitations.c.accepted_at.is_(None),
    invitations.c.revoked_at.is_(None),
    invitations.c.expires_at > func.now(),
)
_FIELDS = [invitations.c[field.name] for field in fields(Invitation) if field.name != "open"] + [
    _OPEN.label("open")
]


async def add(
    tx: AsyncConnection,
    *,
    invitation_id: UUID,
    tenant_id: UUID,
    email: str,
    role: str,
    nonce: bytes,
    created_by: UUID,
    expires_at: datetime,
) -> Invitation | None:
    """The new invitation; an earlier one to the same address ends. None if MAX_OPEN are open.
    The caller holds the lock on the business, which orders two attempts."""
    c = invitations.c
    unanswered = and_(c.email == email, c.accepted_at.is_(None))
    await _revoke(tx, unanswered)
    count = select(func.count()).select_from(invitations).where(_OPEN)
    if (await tx.execute(count)).scalar_one() >= MAX_OPEN:
        return None
    statement = (
        insert(invitations)
        .values(
            id=invitation_id,
            tenant_id=tenant_id,
            email=email,
            role=role,
            nonce=nonce,
            created_by=created_by,
            expires_at=expires_at,
        )
        .returning(*_FIELDS)
    )
    return Invitation(**(await tx.execute(statement)).mappings().one())


async def get(tx: AsyncConnection, invitation_id: UUID, *, lock: bool = False) -> Invitation | None:
    """With `lock`, nobody else answers or ends it until `tx` ends."""
    query = select(*_FIELDS).where(invitations.c.id == invitation_id)
    if lock:
        query = query.with_for_update(of=invitations)
    row = (await tx.execute(query)).mappings().first()
    return Invitation(**row) if row else None


async def listed(tx: AsyncConnection, span: Span) -> Part[Invitation]:
    """The tenant's invitations, newest first."""
    order = falling(invitations.c.created_at, invitations.c.id)
    return (await page(tx, select(*_FIELDS), order, span)).map(lambda row: Invitation(**row))


async def accept(tx: AsyncConnection, invitation_id: UUID, user_id: UUID) -> None:
    await tx.execute(
        update(invitations)
        .where(invitations.c.id == invitation_id)
        .values(accepted_at=func.now(), accepted_by=user_id)
    )


async def revoke(tx: AsyncConnection, invitation_id: UUID) -> None:
    await _revoke(tx, and_(invitations.c.id == invitation_id, invitations.c.accepted_at.is_(None)))


async def revoke_by(tx: AsyncConnection, user_id: UUID) -> None:
    """Ends what somebody invited who may not invite any more."""
    await _revoke(
        tx, and_(invitations.c.created_by == user_id, invitations.c.accepted_at.is_(None))
    )


async def revoke_all(tx: AsyncConnection) -> None:
    await _revoke(tx, invitations.c.accepted_at.is_(None))


async def _revoke(tx: AsyncConnection, condition: ColumnElement[bool]) -> None:
    await tx.execute(
        update(invitations)
        .where(condition, invitations.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
