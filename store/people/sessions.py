"""Sessions, their refresh tokens, and what ended early: the tables and their queries.

None of it is a tenant's data, and all of it is read before anybody is known, so the app role has
plain rights here. A session calls its business `business_id`: the row is the user's own, and no
tenant may see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Uuid,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from store.kit.schema import metadata, moment, of_nobody

MAX_LISTED = 200
# Two tabs refresh at once; an answer is lost on its way, and its request repeated.
REPEATED_SECONDS = 10
_REPEATED = text(f"interval '{REPEATED_SECONDS} seconds'")
_SWEPT_AT_ONCE = 1_000
_ENDED_AT_ONCE = 5_000

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False, index=True),
    Column("business_id", Uuid, ForeignKey("businesses.id")),
    Column("user_agent", String(255), nullable=False, server_default=""),
    moment("created_at", server_default=func.now()),
    moment("expires_at", index=True),
    moment("revoked_at", nullable=True),
    Index(
        "ix_sessions_live",
        "user_id",
        "expires_at",
        "id",
        postgresql_where=text("revoked_at IS NULL"),
    ),
    info=of_nobody(app="SELECT, INSERT, UPDATE, DELETE"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column(
        "session_id",
        Uuid,
        ForeignKey("sessions.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    moment("issued_at", server_default=func.now()),
    moment("expires_at"),
    moment("used_at", nullable=True),
    Column("successor", LargeBinary, comment="The next token, sealed with this one"),
    CheckConstraint("octet_length(hash) = 32", name="hash"),
    info=of_nobody(app="SELECT, INSERT, UPDATE, DELETE"),
)

# Ids of sessions and keys that ended early. Replicas poll it by time; the time is the
# statement's own, not its transaction's, so that a poll need look back only a little.
revocations = Table(
    "revocations",
    metadata,
    Column("id", Uuid, primary_key=True),
    moment("revoked_at", server_default=func.clock_timestamp(), index=True),
    info=of_nobody(app="SELECT, INSERT, UPDATE, DELETE"),
)


@dataclass(frozen=True, slots=True)
class Session:
    id: UUID
    user_id: UUID
    business_id: UUID | None


@dataclass(frozen=True, slots=True)
class Live:
    """A session that has not ended. `refreshed_at` is when it last got new tokens."""

    id: UUID
    business_id: UUID | None
    user_agent: str
    created_at: datetime
    refreshed_at: datetime | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Used:
    """What a refresh token led to. No `session`: there is no such token, or it is too late.
    `successor`: it was used a moment ago, and this is what it led to. `revoked`: it had been used
    before, so somebody else has it too, and that session has ended."""

    session: Session | None = None
    successor: bytes | None = None
    revoked: UUID | None = None


async def open_session(
    tx: AsyncConnection,
    *,
    session_id: UUID,
    user_id: UUID,
    business_id: UUID | None,
    user_agent: str,
    expires_at: datetime,
) -> None:
    await tx.execute(
        insert(sessions).values(
            id=session_id,
            user_id=user_id,
            business_id=business_id,
            user_agent=user_agent[:255],
            expires_at=expires_at,
        )
    )


async def add_refresh_token(
    tx: AsyncConnection, token_hash: bytes, session_id: UUID, expires_at: datetime
) -> None:
    """Adds a token to a session, which lives as long as its newest token."""
    await tx.execute(
        insert(refresh_tokens).values(hash=token_hash, session_id=session_id, expires_at=expires_at)
    )
    await tx.execute(
        update(sessions).where(sessions.c.id == session_id).values(expires_at=expires_at)
    )


async def owner_of(tx: AsyncConnection, token_hash: bytes) -> UUID | None:
    """The user whom a refresh token was given to."""
    query = (
        select(sessions.c.user_id)
        .join(refresh_tokens, refresh_tokens.c.session_id == sessions.c.id)
        .where(refresh_tokens.c.hash == token_hash)
    )
    return (await tx.execute(query)).scalar_one_or_none()


async def use_refresh_token(tx: AsyncConnection, token_hash: bytes, successor: bytes) -> Used:
    """Uses a token up; `successor` is the next one, sealed. Of two that try at once the row's lock
    says which is first, and the other is told the first one's successor, as is a repeat within
    REPEATED_SECONDS. A later use revokes the session, so the caller must commit, whatever it
    answers."""
    row = (
        await tx.execute(
            select(
                refresh_tokens.c.used_at,
                refresh_tokens.c.successor,
                (refresh_tokens.c.used_at > func.now() - _REPEATED).label("just_used"),
                (refresh_tokens.c.expires_at > func.now()).label("fresh"),
                sessions.c.id,
                sessions.c.user_id,
                sessions.c.business_id,
                sessions.c.revoked_at,
            )
            .join(sessions, sessions.c.id == refresh_tokens.c.session_id)
            .where(refresh_tokens.c.hash == token_hash)
            .with_for_update(of=refresh_tokens)
        )
    ).first()
    if row is None or not row.fresh:
        return Used()
    if row.just_used and row.successor is not None and row.revoked_at is None:
        return Used(Session(row.id, row.user_id, row.business_id), row.successor)
    if row.used_at is not None:
        await revoke_sessions(tx, [row.id])
        return Used(revoked=row.id)
    if row.revoked_at is not None:
        return Used()
    await tx.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.hash == token_hash)
        .values(used_at=func.clock_timestamp(), successor=successor)
    )
    return Used(Session(row.id, row.user_id, row.business_id))


async def revoke_sessions(tx: AsyncConnection, session_ids: Sequence[UUID]) -> None:
    """Ends sessions: no refresh any more, and every replica hears of it within seconds."""
    await tx.execute(
        update(sessions)
        .where(sessions.c.id.in_(session_ids), sessions.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    await announce(tx, session_ids)


async def end_where(
    tx: AsyncConnection,
    *,
    user_id: UUID | None = None,
    business_id: UUID | None = None,
    except_id: UUID | None = None,
) -> list[UUID]:
    """Ends all live sessions of a user, in a business, or of a user in a business, but for
    `except_id`; returns their ids. Raises ValueError if neither is named."""
    if user_id is None and business_id is None:
        raise ValueError("whose sessions?")
    conditions = [sessions.c.revoked_at.is_(None), sessions.c.expires_at > func.now()]
    for column, value in ((sessions.c.user_id, user_id), (sessions.c.business_id, business_id)):
        if value is not None:
            conditions.append(column == value)
    if except_id is not None:
        conditions.append(sessions.c.id != except_id)
    query = select(sessions.c.id).where(*conditions).order_by(sessions.c.id)
    ids = list((await tx.execute(query.with_for_update())).scalars())
    for start in range(0, len(ids), _ENDED_AT_ONCE):
        await revoke_sessions(tx, ids[start : start + _ENDED_AT_ONCE])
    return ids


async def live_sessions(tx: AsyncConnection, user_id: UUID) -> list[Live]:
    """A user's sessions that have not ended, the one refreshed last first; MAX_LISTED at most."""
    refreshed_at = (
        select(func.max(refresh_tokens.c.issued_at))
        .where(refresh_tokens.c.session_id == sessions.c.id)
        .scalar_subquery()
        .label("refreshed_at")
    )
    c = sessions.c
    # A session ends with its newest token, so that the index knows which was refreshed last.
    query = (
        select(c.id, c.business_id, c.user_agent, c.created_at, refreshed_at, c.expires_at)
        .where(c.user_id == user_id, c.revoked_at.is_(None), c.expires_at > func.now())
        .order_by(c.expires_at.desc(), c.id.desc())
        .limit(MAX_LISTED)
    )
    return [Live(**row) for row in (await tx.execute(query)).mappings()]


async def end_own(tx: AsyncConnection, user_id: UUID, session_id: UUID) -> bool:
    """Ends a session of the user's; False if the user has no such live one."""
    c = sessions.c
    query = select(c.id).where(
        c.id == session_id, c.user_id == user_id, c.revoked_at.is_(None), c.expires_at > func.now()
    )
    if (await tx.execute(query.with_for_update())).first() is None:
        return False
    await revoke_sessions(tx, [session_id])
    return True


async def has_ended(tx: AsyncConnection, session_id: UUID) -> bool:
    """Whether a session was ended. If not, nobody ends it until `tx` ends. A token that was signed
    without a session, as operators' tools do, has none to end."""
    query = select(sessions.c.revoked_at).where(sessions.c.id == session_id)
    row = (await tx.execute(query.with_for_update(read=True))).first()
    return row is not None and row.revoked_at is not None


async def announce(tx: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Tells every replica, through its next poll, that these sessions or keys have ended."""
    for start in range(0, len(ids), _ENDED_AT_ONCE):
        rows = [{"id": id_} for id_ in ids[start : start + _ENDED_AT_ONCE]]
        await tx.execute(postgresql.insert(revocations).values(rows).on_conflict_do_nothing())


async def revoked_since(
    tx: AsyncConnection, since: datetime, *, limit: int
) -> list[tuple[UUID, datetime]]:
    """Ids of sessions and keys revoked after `since`, oldest first."""
    query = (
        select(revocations.c.id, revocations.c.revoked_at)
        .where(revocations.c.revoked_at > since)
        .order_by(revocations.c.revoked_at)
        .limit(limit)
    )
    return [(row.id, row.revoked_at) for row in await tx.execute(query)]


async def sweep(tx: AsyncConnection) -> None:
    """Deletes a bounded number of what has outlived its use: sessions a day after their end
    (their refresh tokens go with them), and revocations older than any access token may be."""
    for table, column, age in (
        (sessions, sessions.c.expires_at, "1 day"),
        (revocations, revocations.c.revoked_at, "2 days"),
    ):
        old = (
            select(table.c.id)
            .where(column < func.now() - text(f"interval '{age}'"))
            .limit(_SWEPT_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        await tx.execute(delete(table).where(table.c.id.in_(old)))
