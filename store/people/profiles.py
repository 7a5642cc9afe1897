"""What people say about themselves, and the list of them that a platform's admins see.

Profiles and addresses stand behind a wall of their own: a transaction sees those of its scope's
user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    Uuid,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import Part, Span
from store.kit.paging import falling, page
from store.kit.schema import address_columns, metadata, moment, of_person
from store.people.users import users

MAX_ADDRESSES = 50

user_profiles = Table(
    "user_profiles",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("phone", String(32)),
    Column("newsletter", Boolean, nullable=False, server_default=text("true")),
    Column("theme", String(20), nullable=False, server_default="light"),
    moment("created_at", server_default=func.now()),
    moment("updated_at", server_default=func.now()),
    CheckConstraint("theme IN ('light', 'dark', 'system')", name="theme"),
    info=of_person(app="SELECT, INSERT, UPDATE"),
)

addresses = Table(
    "addresses",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False, index=True),
    *address_columns(),
    Column("is_default", Boolean, nullable=False, server_default=text("false")),
    moment("created_at", server_default=func.now()),
    moment("updated_at", server_default=func.now()),
    Index("uq_addresses_default", "user_id", unique=True, postgresql_where=text("is_default")),
    info=of_person(),
)


@dataclass(frozen=True, slots=True)
class Profile:
    """What somebody who never said anything has: no number, the newsletter, the light theme."""

    phone: str | None = None
    newsletter: bool = True
    theme: str = "light"


@dataclass(frozen=True, slots=True)
class Address:
    id: UUID
    street: str | None
    city: str | None
    state: str | None
    zip: str | None
    country: str | None
    is_default: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A person as a platform's admin sees them. `role` is what they registered as."""

    id: UUID
    name: str
    email: str
    role: str
    disabled_at: datetime | None
    created_at: datetime


_PROFILE = tuple(user_profiles.c[field.name] for field in fields(Profile))
_ADDRESS = tuple(addresses.c[field.name] for field in fields(Address))
_LISTED = tuple(users.c[field.name] for field in fields(Listed))


async def lock(tx: AsyncConnection, user_id: UUID) -> Listed | None:
    """The person; nobody else changes them or what is theirs until `tx` ends."""
    query = select(*_LISTED).where(users.c.id == user_id).with_for_update(key_share=True)
    row = (await tx.execute(query)).mappings().first()
    return Listed(**row) if row else None


async def profile(tx: AsyncConnection, user_id: UUID) -> Profile:
    query = select(*_PROFILE).where(user_profiles.c.user_id == user_id)
    row = (await tx.execute(query)).mappings().first()
    return Profile(**row) if row else Profile()


async def save_profile(tx: AsyncConnection, user_id: UUID, values: Mapping[str, Any]) -> Profile:
    """Writes what `values` names and leaves the rest."""
    statement = (
        postgresql.insert(user_profiles)
        .values(user_id=user_id, **values)
        .on_conflict_do_update(
            index_elements=[user_profiles.c.user_id],
            set_={**values, "updated_at": func.now()},
        )
        .returning(*_PROFILE)
    )
    return Profile(**(await tx.execute(statement)).mappings().one())


async def addresses_of(tx: AsyncConnection, user_id: UUID) -> list[Address]:
    """The default one first, then the oldest."""
    query = (
        select(*_ADDRESS)
        .where(addresses.c.user_id == user_id)
        .order_by(addresses.c.is_default.desc(), addresses.c.created_at, addresses.c.id)
        .limit(MAX_ADDRESSES)
    )
    return [Address(**row) for row in (await tx.execute(query)).mappings()]


async def clear_default(tx: AsyncConnection, user_id: UUID) -> None:
    await tx.execute(
        update(addresses)
        .where(addresses.c.user_id == user_id, addresses.c.is_default)
        .values(is_default=False)
    )


async def add_address(
    tx: AsyncConnection, user_id: UUID, address_id: UUID, values: Mapping[str, Any]
) -> Address:
    statement = (
        insert(addresses).values(id=address_id, user_id=user_id, **values).returning(*_ADDRESS)
    )
    return Address(**(await tx.execute(statement)).mappings().one())


async def change_address(
    tx: AsyncConnection, user_id: UUID, address_id: UUID, values: Mapping[str, Any]
) -> Address | None:
    """None if the person has no such address."""
    statement = (
        update(addresses)
        .where(addresses.c.id == address_id, addresses.c.user_id == user_id)
        .values(**values, updated_at=func.now())
        .returning(*_ADDRESS)
    )
    row = (await tx.execute(statement)).mappings().first()
    return Address(**row) if row else None


async def remove_address(tx: AsyncConnection, user_id: UUID, address_id: UUID) -> Address | None:
    """What it was; None if the person has no such address."""
    statement = (
        delete(addresses)
        .where(addresses.c.id == address_id, addresses.c.user_id == user_id)
        .returning(*_ADDRESS)
    )
    row = (await tx.execute(statement)).mappings().first()
    return Address(**row) if row else None


async def get(tx: AsyncConnection, user_id: UUID) -> Listed | None:
    query = select(*_LISTED).where(users.c.id == user_id)
    row = (await tx.execute(query)).mappings().first()
    return Listed(**row) if row else None


async def people(
    tx: AsyncConnection,
    span: Span,
    *,
    words: str | None,
    role: str | None,
    disabled: bool | None,
) -> Part[Listed]:
    """All people, newest first. `words` is part of a name or of an e-mail address, as it
    stands."""
    conditions = []
    if role is not None:
        conditions.append(users.c.role == role)
    if disabled is not None:
        is_disabled = users.c.disabled_at.is_not(None)
        conditions.append(is_disabled if disabled else ~is_disabled)
    if words is not None:
        part = words.lower()
        named = func.strpos(func.lower(users.c.name), part) > 0
        conditions.append(or_(named, func.strpos(users.c.email, part) > 0))
    by_index = 0 if words is not None and len(conditions) == 1 else 1
    query = select(*_LISTED).where(*conditions[:by_index])
    order = falling(users.c.created_at, users.c.id)
    found = await page(tx, query, order, span, also=conditions[by_index:])
    return found.map(lambda row: Listed(**row))


async def set_disabled(tx: AsyncConnection, user_id: UUID, *, disabled: bool) -> None:
    at = func.coalesce(users.c.disabled_at, func.now()) if disabled else None
    await tx.execute(
        update(users).where(users.c.id == user_id).values(disabled_at=at, updated_at=func.now())
    )


async def set_role(tx: AsyncConnection, user_id: UUID, role: str) -> None:
    await tx.execute(
        update(users).where(users.c.id == user_id).values(role=role, updated_at=func.now())
    )
