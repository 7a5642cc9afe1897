"""Events out of plain SQL: an outbox row in the transaction that makes the event true.

Lock the subject's row before calling (an INSERT or UPDATE of it does): whoever emits second for a
subject then commits second too, and the order per subject holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.ids import uuid7
from store.hosts.tables import outbox


class Event(NamedTuple):
    """What happened: `subject` is the id of the thing it happened to, `type` its name with a
    version (`catalog.product.created.v1`), `data` JSON with ids and no personal data."""

    subject: UUID
    type: str
    data: Mapping[str, Any]


async def emit(
    tx: AsyncConnection, tenant_id: UUID, subject: UUID, event_type: str, data: Mapping[str, Any]
) -> None:
    """Records one event, to be published once `tx` has committed."""
    await emit_all(tx, tenant_id, [Event(subject, event_type, data)])


async def emit_all(tx: AsyncConnection, tenant_id: UUID, events: Sequence[Event]) -> None:
    """Records events in their order, to be published once `tx` has committed."""
    if not events:
        return
    rows = [
        {
            "event_id": uuid7(),
            "tenant_id": tenant_id,
            "type": event.type,
            "subject": str(event.subject),
            "data": dict(event.data),
        }
        for event in events
    ]
    await tx.execute(insert(outbox), rows)


class Waiting(NamedTuple):
    """An event that has not been published yet. `tenant_id` is the business, or for what concerns
    a person alone the user."""

    event_id: UUID
    tenant_id: UUID
    type: str
    subject: str
    time: datetime


async def waiting(tx: AsyncConnection, *, limit: int) -> list[Waiting]:
    """What would go out next, of all tenants, oldest first. For the host role, which sees all."""
    c = outbox.c
    query = (
        select(c.event_id, c.tenant_id, c.type, c.subject, c.time)
        .where(c.published_at.is_(None))
        .order_by(c.id)
        .limit(limit)
    )
    return [Waiting(*row) for row in await tx.execute(query)]
