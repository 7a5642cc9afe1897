"""People, and for which businesses they may act: the tables and their queries.

`memberships` stands behind a tenant's wall. `users` holds no tenant's data and is read while
nobody is known yet, so the app role has plain rights on it.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    case,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from store.business import profile
from store.kit.schema import APP_ROLE, USER, metadata, moment, of_nobody, of_tenant

MAX_MEMBERSHIPS = 100


users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("email", String(254), nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("role", String(20), nullable=False, server_default="customer"),
    moment("disabled_at", nullable=True),
    # When a mailed link proved the address; the nonce is that of the last such link.
    moment("email_verified_at", nullable=True),
    Column("email_nonce", LargeBinary),
    moment("email_nonce_expires_at", nullable=True),
    moment("created_at", server_default=func.now()),
    moment("updated_at", server_default=func.now()),
    CheckConstraint("octet_length(email_nonce) = 16", name="email_nonce"),
    CheckConstraint("email = lower(email)", name="email_lower"),
    CheckConstraint("role IN ('customer', 'vendor', 'admin')", name="role"),
    Index("ix_users_newest", "created_at", "id"),
    Index("ix_users_role", "role", "created_at", "id"),
    Index(
        "ix_users_disabled", "created_at", "id", postgresql_where=text("disabled_at IS NOT NULL")
    ),
    info=of_nobody(app="SELECT, INSERT, UPDATE"),
)

# Signing in must find the businesses of a user before it knows any of them.
_MINE = f"FOR SELECT TO {APP_ROLE} USING (user_id = {USER})"

memberships = Table(
    "memberships",
    metadata,
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("role", String(20), nullable=False),
    moment("created_at", server_default=func.now()),
    CheckConstraint("role IN ('owner', 'manager', 'staff', 'cashier')", name="role"),
    Index("ix_memberships_joined", "tenant_id", "created_at", "user_id"),
    Index("ix_memberships_mine", "user_id", "created_at", "tenant_id"),
    info=of_tenant(further={"own": _MINE}),
)


@dataclass(frozen=True, slots=True)
class User:
    """A person. `role` is customer, vendor or admin: what they registered as."""

    id: UUID
    name: str
    email: str
    password_hash: str
    role: str
    disabled: bool
    email_verified: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """A person's e-mail address, and the nonce of the link that proves it, while that holds."""

    email: str
    verified: bool
    nonce: bytes | None


@dataclass(frozen=True, slots=True)
class Membership:
    """`role` in the business: owner, manager, staff or cashier; `name` is the business's."""

    tenant_id: UUID
    role: str
    name: str


async def add_user(tx: AsyncConnection, user: User) -> bool:
    """False if the e-mail address is taken; nothing is written then."""
    statement = (
        postgresql.insert(users)
        .values(
            id=user.id,
            name=user.name,
            email=user.email,
            password_hash=user.password_hash,
            role=user.role,
            email_verified_at=func.now() if user.email_verified else None,
        )
        .on_conflict_do_nothing(index_elements=[users.c.email])
        .returning(users.c.id)
    )
    return (await tx.execute(statement)).first() is not None


async def add_business(
    tx: AsyncConnection, tenant_id: UUID, name: str, currency: str, owner_id: UUID
) -> None:
    """A business, its main location and its owner. The transaction's scope must be the new
    tenant."""
    await profile.open_business(tx, tenant_id, name, currency)
    await tx.execute(
        insert(memberships).values(tenant_id=tenant_id, user_id=owner_id, role="owner")
    )


async def user_by_email(tx: AsyncConnection, email: str) -> User | None:
    return await _user(tx, users.c.email == email)


async def user_by_id(tx: AsyncConnection, user_id: UUID) -> User | None:
    return await _user(tx, users.c.id == user_id)


async def hold_still(tx: AsyncConnection, user: User) -> bool:
    """Whether a user is still as `user` says, and not disabled. If so, nobody changes password,
    role or standing until `tx` ends."""
    query = (
        select(users.c.id)
        .where(
            users.c.id == user.id,
            users.c.password_hash == user.password_hash,
            users.c.disabled_at.is_(None),
        )
        .with_for_update(read=True)
    )
    return (await tx.execute(query)).first() is not None


async def _user(tx: AsyncConnection, condition: ColumnElement[bool]) -> User | None:
    found = (
        await tx.execute(
            select(
                users.c.id,
                users.c.name,
                users.c.email,
                users.c.password_hash,
                users.c.role,
                users.c.disabled_at.is_not(None).label("disabled"),
                users.c.email_verified_at.is_not(None).label("email_verified"),
            ).where(condition)
        )
    ).mappings()
    row = found.first()
    return User(**row) if row else None


async def set_password_hash(tx: AsyncConnection, user_id: UUID, password_hash: str) -> None:
    await tx.execute(
        update(users)
        .where(users.c.id == user_id)
        .values(password_hash=password_hash, updated_at=func.now())
    )


async def address_of(tx: AsyncConnection, user_id: UUID) -> Address | None:
    """None for an account that is not there, or is closed."""
    c = users.c
    nonce = case((c.email_nonce_expires_at > func.now(), c.email_nonce))
    query = select(c.email, c.email_verified_at.is_not(None), nonce).where(
        c.id == user_id, c.disabled_at.is_(None)
    )
    row = (await tx.execute(query)).first()
    return Address(*row) if row else None


async def ask_to_verify(
    tx: AsyncConnection, user_id: UUID, nonce: bytes, expires_at: datetime
) -> bool:
    """Has a link with this nonce count, and none before it. False if the address is proved."""
    statement = (
        update(users)
        .where(users.c.id == user_id, users.c.email_verified_at.is_(None))
        .values(email_nonce=nonce, email_nonce_expires_at=expires_at)
        .returning(users.c.id)
    )
    return (await tx.execute(statement)).first() is not None


async def mark_verified(tx: AsyncConnection, user_id: UUID) -> None:
    """The person that brought a link out of a mail has the address that the mail went to."""
    await tx.execute(
        update(users)
        .where(users.c.id == user_id, users.c.email_verified_at.is_(None))
        .values(email_verified_at=func.now())
    )


async def memberships_of(tx: AsyncConnection, user_id: UUID) -> list[Membership]:
    """The businesses that a user works for and that are not deleted, the first joined first. The
    transaction's scope must be that user's."""
    businesses = profile.businesses
    query = (
        select(memberships.c.tenant_id, memberships.c.role, businesses.c.name)
        .join(businesses, businesses.c.id == memberships.c.tenant_id)
        .where(memberships.c.user_id == user_id, businesses.c.deleted_at.is_(None))
        .order_by(memberships.c.created_at, memberships.c.tenant_id)
        .limit(MAX_MEMBERSHIPS)
    )
    return [Membership(*row) for row in await tx.execute(query)]
