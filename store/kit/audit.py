"""Who changed what: a log that only grows, written in the transaction that makes the change.

Every change about which the owner of a business may ask calls `record`. An entry holds ids and
plain values, never a secret nor a hash of one, and no person's address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, String, Table, Uuid, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from core.ids import uuid7
from core.paging import Part, Span
from core.principal import Principal
from store.kit.paging import falling, page
from store.kit.schema import metadata, moment, of_tenant

MAX_TEXT = 200

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column(
        "tenant_id",
        Uuid,
        nullable=False,
        comment="The business; for what concerns a person alone the user",
    ),
    # The statement's own time: it orders the changes of one transaction too.
    moment("at", server_default=func.clock_timestamp()),
    Column("actor_id", Uuid, nullable=False, comment="A user's or a service key's"),
    Column("actor_role", String(20), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", Uuid, nullable=False, comment="The id of what was changed"),
    Column("changes", JSONB, nullable=False, comment="Field to [before, after]"),
    Column("key_id", Uuid, comment="The key that was used; null: none"),
    Index("ix_audit_log_tenant_id_at", "tenant_id", "at", "id"),
    Index("ix_audit_log_tenant_id_subject", "tenant_id", "subject", "at"),
    Index("ix_audit_log_actor", "tenant_id", "actor_id", "at", "id"),
    Index("ix_audit_log_action", "tenant_id", "action", "at", "id"),
    info=of_tenant(app="SELECT, INSERT", host="SELECT, INSERT"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """`action` reads `<noun>.<verb>`, such as `member.role_changed`; `changes` is field to [before,
    after]; `key_id` the key that the actor used, None for a person that had signed in."""

    id: UUID
    at: datetime
    actor_id: UUID
    actor_role: str
    key_id: UUID | None
    action: str
    subject: UUID
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; None narrows nothing. `since` is included, `until` is not."""

    actor_id: UUID | None = None
    subject: UUID | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    actor_role: str | None = None


_FIELDS = tuple(audit_log.c[field.name] for field in fields(Entry))


async def record(
    tx: AsyncConnection,
    tenant_id: UUID,
    actor: Principal,
    action: str,
    subject: UUID,
    changes: Mapping[str, tuple[Any, Any]] | None = None,
) -> None:
    """Adds a line. `tenant_id` is the business (or the user, where only a person is concerned) and
    must be the scope's; `changes` is field to (before, after), as `changed` makes it."""
    plain = {name: [_plain(value) for value in pair] for name, pair in (changes or {}).items()}
    await tx.execute(
        insert(audit_log).values(
            id=uuid7(),
            tenant_id=tenant_id,
            actor_id=UUID(actor.id),
            actor_role=actor.role.value,
            key_id=UUID(actor.key_id) if actor.key_id else None,
            action=action,
            subject=subject,
            changes=plain,
        )
    )


def changed(before: Any, after: Any, names: tuple[str, ...]) -> dict[str, tuple[Any, Any]]:
    """Those of the fields `names` in which two things differ, with both values; all of them where
    nothing existed before."""
    if before is None:
        return {name: (None, getattr(after, name)) for name in names}
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


async def entries(tx: AsyncConnection, filters: Filters, span: Span) -> Part[Entry]:
    """The tenant's log, newest first."""
    c = audit_log.c
    query = select(*_FIELDS)
    if filters.since is not None:
        query = query.where(c.at >= filters.since)
    if filters.until is not None:
        query = query.where(c.at < filters.until)
    # The first condition that is given has an index of its own; roles have none.
    compared: list[tuple[Column[Any], object]] = [
        (c.subject, filters.subject),
        (c.actor_id, filters.actor_id),
        (c.action, filters.action),
    ]
    conditions = [column == value for column, value in compared if value is not None]
    query, also = query.where(*conditions[:1]), conditions[1:]
    if filters.actor_role is not None:
        also.append(c.actor_role == filters.actor_role)
    found = await page(tx, query, falling(c.at, c.id), span, also=also)
    return found.map(lambda row: Entry(**row))


def _plain(value: Any) -> Any:
    """A value as JSON holds it, shortened: the log says what changed, it is no second copy."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in list(value)[:20]]
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
