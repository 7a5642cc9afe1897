"""The events that a consumer failed at, and those of the same subjects that wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, Uuid, func, select, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from store.kit.consumers import Row
from store.kit.schema import exempt, metadata, moment, of_tenant

_WAITING = text("set_aside_at IS NULL")
MAX_PROBLEM = 500

consumer_backlog = Table(
    "consumer_backlog",
    metadata,
    Column("consumer", Text, primary_key=True, info=exempt(no_bound="a name of ours")),
    Column("id", BigInteger, primary_key=True, comment="Of the outbox's row, which may be gone"),
    Column("tenant_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("type", Text, nullable=False, info=exempt(no_bound="a kind of ours")),
    Column("subject", Text, nullable=False, info=exempt(no_bound="an id of ours")),
    moment("time"),
    Column("data", JSONB, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    moment("due_at", server_default=func.now()),
    Column(
        "problem",
        Text,
        comment="Of the last attempt; empty: waits for an earlier event",
        info=exempt(no_bound="cut where it is written"),
    ),
    moment("set_aside_at", nullable=True, comment="When it was given up"),
    Index("ix_consumer_backlog_due", "consumer", "due_at", postgresql_where=_WAITING),
    Index(
        "ix_consumer_backlog_subject",
        *("consumer", "tenant_id", "subject", "id"),
        postgresql_where=_WAITING,
    ),
    comment="Events that a consumer failed at, and those that wait for them",
    info=of_tenant(owner="SELECT"),
)


async def park(
    tx: AsyncConnection, name: str, rows: Sequence[Row], *, problem: str, due_in_seconds: float
) -> None:
    """Puts events of the scope's tenant into the backlog. With a problem they have failed once;
    otherwise they follow earlier ones of their subjects. What is there already, of a consumer that
    reads again what it had read, begins anew."""
    b = consumer_backlog.c
    later = _from_now(due_in_seconds)
    for row in rows:
        earlier = select(func.max(b.due_at)).where(
            b.consumer == name,
            b.tenant_id == row.tenant_id,
            b.subject == row.subject,
            b.set_aside_at.is_(None),
        )
        state = {
            "attempts": 1 if problem else 0,
            "due_at": later if problem else func.coalesce(earlier.scalar_subquery(), later),
            "problem": problem[:MAX_PROBLEM] or None,
            "set_aside_at": None,
        }
        new = insert(consumer_backlog).values(
            consumer=name,
            id=row.id,
            tenant_id=row.tenant_id,
            event_id=row.event_id,
            type=row.type,
            subject=row.subject,
            time=row.time,
            data=text("CAST(:data AS jsonb)").bindparams(data=row.data),
            **state,
        )
        again = {column: new.excluded[column] for column in state}
        await tx.execute(new.on_conflict_do_update(index_elements=[b.consumer, b.id], set_=again))


async def spare(tx: AsyncConnection, name: str, tenant_id: UUID, seconds: float) -> None:
    """Lets what the scope's tenant has in the backlog wait for so long at least, except for what
    another process is trying."""
    b, later = consumer_backlog.c, _from_now(seconds)
    sooner = (
        select(b.id)
        .where(
            b.consumer == name,
            b.tenant_id == tenant_id,
            b.set_aside_at.is_(None),
            b.due_at < later,
        )
        .with_for_update(skip_locked=True)
    )
    of_those = consumer_backlog.update().where(b.consumer == name, b.id.in_(sooner))
    await tx.execute(of_those.values(due_at=later))


class Subject(NamedTuple):
    """A thing whose events are in a backlog."""

    tenant_id: UUID
    subject: str


async def due_subjects(tx: AsyncConnection, name: str, at_most: int) -> list[Subject]:
    """Subjects of which an event in the backlog is due to be tried, of all tenants."""
    found = await tx.execute(
        text("SELECT * FROM due_subjects(:name, :at_most)"), {"name": name, "at_most": at_most}
    )
    return [Subject(*row) for row in found]


class Tried(NamedTuple):
    """An event of a backlog, and how often it was tried."""

    row: Row
    attempts: int


async def first_due(tx: AsyncConnection, name: str, about: Subject) -> Tried | None:
    """The first event of a subject, if it is due, locked for the caller until `tx` ends; None while
    another process has it."""
    b = consumer_backlog.c
    of_subject = _of(name, about)
    first = select(func.min(b.id)).where(*of_subject).scalar_subquery()
    found = await tx.execute(
        select(
            b.id,
            b.event_id,
            b.tenant_id,
            b.type,
            b.subject,
            b.time,
            text("data::text AS data"),
            text("true AS waits"),
            b.attempts,
        )
        .where(b.id == first, b.due_at <= func.now(), *of_subject)
        .with_for_update(skip_locked=True)
    )
    row = found.mappings().first()
    if row is None:
        return None
    return Tried(Row(**{name: row[name] for name in Row._fields}), row["attempts"])


async def done(tx: AsyncConnection, name: str, row: Row) -> None:
    """Removes an event that has had its effect from the backlog."""
    b = consumer_backlog.c
    await tx.execute(consumer_backlog.delete().where(b.consumer == name, b.id == row.id))


async def failed(
    tx: AsyncConnection,
    name: str,
    tried: Tried,
    *,
    problem: str,
    due_in_seconds: float,
    is_last: bool,
) -> None:
    """Records that an event of the backlog has failed again: its subject waits for so long, and if
    that `is_last` goes on without it. Nothing happens if another process has handled it."""
    b, row = consumer_backlog.c, tried.row
    values: dict[str, Any] = {"attempts": tried.attempts + 1, "problem": problem[:MAX_PROBLEM]}
    if is_last:
        values["set_aside_at"] = func.now()
    changed = await tx.execute(
        consumer_backlog.update()
        .where(b.consumer == name, b.id == row.id, b.attempts == tried.attempts)
        .values(values)
    )
    if changed.rowcount:
        about = Subject(row.tenant_id, row.subject)
        subjects = consumer_backlog.update().where(*_of(name, about))
        await tx.execute(subjects.values(due_at=_from_now(due_in_seconds)))


def _from_now(seconds: float) -> Any:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _of(name: str, about: Subject) -> tuple[Any, ...]:
    b = consumer_backlog.c
    return (
        b.consumer == name,
        b.tenant_id == about.tenant_id,
        b.subject == about.subject,
        b.set_aside_at.is_(None),
    )


class SetAside(NamedTuple):
    consumer: str
    id: int
    type: str
    subject: str
    attempts: int
    problem: str
    at: datetime


async def set_aside(tx: AsyncConnection, *, limit: int) -> list[SetAside]:
    """The events that consumers gave up, of all tenants, the oldest first. For the host role, which
    sees all."""
    b = consumer_backlog.c
    query = (
        select(b.consumer, b.id, b.type, b.subject, b.attempts, b.problem, b.set_aside_at)
        .where(b.set_aside_at.is_not(None))
        .order_by(b.set_aside_at, b.id)
        .limit(limit)
    )
    return [SetAside(*row) for row in await tx.execute(query)]


async def try_again(tx: AsyncConnection, name: str) -> int:
    """Has the events that a consumer gave up tried anew, as if they had never failed. Returns how
    many they are. For the host role."""
    b = consumer_backlog.c
    changed = await tx.execute(
        consumer_backlog.update()
        .where(b.consumer == name, b.set_aside_at.is_not(None))
        .values(set_aside_at=None, attempts=0, due_at=func.now())
    )
    return changed.rowcount
