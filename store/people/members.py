"""Who works for a business, within its scope. `store.people.users` has the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import Part, Span
from store.kit.paging import page, rising
from store.people.users import memberships, users

MAX_MEMBERS = 2_000


@dataclass(frozen=True, slots=True)
class Member:
    """`role` in the business: owner, manager, staff or cashier."""

    user_id: UUID
    name: str
    email: str
    role: str
    created_at: datetime


_QUERY = select(
    memberships.c.user_id,
    users.c.name,
    users.c.email,
    memberships.c.role,
    memberships.c.created_at,
).join(users, users.c.id == memberships.c.user_id)


async def get(tx: AsyncConnection, user_id: UUID) -> Member | None:
    query = _QUERY.where(memberships.c.user_id == user_id)
    row = (await tx.execute(query)).mappings().first()
    return Member(**row) if row else None


async def standing(tx: AsyncConnection, user_id: UUID) -> tuple[str, str] | None:
    """A member's role, and what they registered as; None for one who is no member any more, or
    whose account is closed."""
    query = (
        select(memberships.c.role, users.c.role.label("registered_as"))
        .join(users, users.c.id == memberships.c.user_id)
        .where(memberships.c.user_id == user_id, users.c.disabled_at.is_(None))
    )
    row = (await tx.execute(query)).first()
    return (row.role, row.registered_as) if row else None


async def by_email(tx: AsyncConnection, email: str) -> Member | None:
    row = (await tx.execute(_QUERY.where(users.c.email == email))).mappings().first()
    return Member(**row) if row else None


async def among(tx: AsyncConnection, user_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Which of these are members."""
    query = select(memberships.c.user_id).where(memberships.c.user_id.in_(list(user_ids)))
    return frozenset((await tx.execute(query)).scalars())


async def listed(tx: AsyncConnection, tenant_id: UUID, span: Span) -> Part[Member]:
    """The members, the first joined first."""
    # Named, for the policy shows people their own memberships elsewhere, and no index has both.
    query = _QUERY.where(memberships.c.tenant_id == tenant_id)
    order = rising(memberships.c.created_at, memberships.c.user_id)
    return (await page(tx, query, order, span)).map(lambda row: Member(**row))


async def count(tx: AsyncConnection, role: str | None = None) -> int:
    query = select(func.count()).select_from(memberships)
    if role is not None:
        query = query.where(memberships.c.role == role)
    return int((await tx.execute(query)).scalar_one())


async def add(tx: AsyncConnection, tenant_id: UUID, user_id: UUID, role: str) -> bool:
    """False if that person is a member already; nothing is written then."""
    statement = (
        postgresql.insert(memberships)
        .values(tenant_id=tenant_id, user_id=user_id, role=role)
        .on_conflict_do_nothing()
        .returning(memberships.c.user_id)
    )
    return (await tx.execute(statement)).first() is not None


async def set_role(tx: AsyncConnection, user_id: UUID, role: str) -> None:
    await tx.execute(update(memberships).where(memberships.c.user_id == user_id).values(role=role))


async def remove(tx: AsyncConnection, user_id: UUID) -> None:
    await tx.execute(delete(memberships).where(memberships.c.user_id == user_id))
