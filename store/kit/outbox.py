"""Events of plain SQL: an outbox row in the transaction that makes the event true.

Lock the subject's row before calling (an INSERT or UPDATE of it does): the transaction that emits
second for a subject then commits second too, and the order per subject holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.events import Event
from core.ids import uuid7
from store.hosts.tables import outbox

# The transaction has its number before the rows have theirs: `store.kit.consumers` relies on it.
_EMIT = text(
    """
WITH me AS MATERIALIZED (SELECT pg_current_xact_id() AS xid)
INSERT INTO outbox (event_id, tenant_id, type, subject, data, xid)
SELECT e.event_id, :tenant_id, e.type, e.subject, e.data::jsonb, me.xid
FROM me, unnest(CAST(:event_ids AS uuid[]), CAST(:types AS text[]), CAST(:subjects AS text[]),
  CAST(:data AS text[])) WITH ORDINALITY AS e(event_id, type, subject, data, place)
ORDER BY e.place"""
)


async def emit(tx: AsyncConnection, tenant_id: UUID, subject: UUID, event: Event) -> None:
    """Records that something happened to `subject`, to be published once `tx` has committed."""
    await emit_all(tx, tenant_id, [(subject, event)])


async def emit_all(
    tx: AsyncConnection, tenant_id: UUID, events: Sequence[tuple[UUID, Event]]
) -> None:
    """Records events, each with its subject, in their order, to be published once `tx` has
    committed."""
    if not events:
        return
    await tx.execute(
        _EMIT,
        {
            "tenant_id": tenant_id,
            "event_ids": [uuid7() for _ in events],
            "types": [event.kind for _, event in events],
            "subjects": [str(subject) for subject, _ in events],
            "data": [event.json for _, event in events],
        },
    )


class Waiting(NamedTuple):
    """An event that has not been published yet. `tenant_id` is the business, or the user where only
    a person is concerned."""

    event_id: UUID
    tenant_id: UUID
    type: str
    subject: str
    time: datetime


async def waiting(
    tx: AsyncConnection, *, limit: int, kind: str | None = None, subject: str | None = None
) -> list[Waiting]:
    """The events that have not gone out, of all tenants, the newest first; only those whose type
    begins with `kind`, or about a `subject`. For the host role, which sees all."""
    c = outbox.c
    query = (
        select(c.event_id, c.tenant_id, c.type, c.subject, c.time)
        .where(c.published_at.is_(None))
        .order_by(c.id.desc())
        .limit(limit)
    )
    if kind is not None:
        query = query.where(c.type.startswith(kind, autoescape=True))
    if subject is not None:
        query = query.where(c.subject == subject)
    return [Waiting(*row) for row in await tx.execute(query)]
