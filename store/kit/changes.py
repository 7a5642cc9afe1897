"""What has changed since a moment, so that somebody who keeps a copy misses nothing.

A change has its moment (`updated_at` or `changed_at`) before its transaction commits, and changes
become visible in the order of their commits. A reader that went on from now would miss the change
of a moment ago whose transaction is still open. So a list of changes ends where nothing can appear
any more: a transaction has its number before it gives moments (it has locked a row by then, or
`store.kit.commands.once` has taken the number). At a moment t the next number is n; once all
transactions below n have ended, every change before t is visible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Index,
    Select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import FieldError, Unavailable, ValidationFailed
from core.moments import is_kept
from core.paging import Cursor, Part, Span
from store.kit.paging import Row, page, rising

PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.02
_NAME = "until "

# The moment first: a number that is given later is above those of all who had theirs by then.
_NOW = text(
    "WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at)"
    " SELECT at, pg_current_xact_id()::text::bigint AS number FROM now"
)
# Of this transaction, or of an earlier one that runs.
_OLDEST = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


def stamped(name: str) -> tuple[Column[datetime], Index]:
    """The moment at which a row of the table `name` was changed last, which the database writes by
    itself (a trigger of the migration), and the index by which changes are read."""
    column = Column(
        "changed_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=text("clock_timestamp()"),
        info={"stamped": True},
    )
    return column, Index(f"ix_{name}_changed", "tenant_id", "changed_at", "id")


async def settled(tx: AsyncConnection) -> datetime:
    """A moment before which every change is visible to the later statements of `tx`, and little
    earlier than now. Raises Unavailable when a transaction has been open for too long."""
    at, number = (await tx.execute(_NOW)).one()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while (await tx.execute(_OLDEST)).scalar_one() < number:
        if loop.time() > deadline:
            raise Unavailable(
                "Somebody has been writing for seconds: what changed is not known yet."
            )
        await asyncio.sleep(_PAUSE_SECONDS)
    found: datetime = at
    return found


async def changed(
    tx: AsyncConnection,
    query: Select[Any],
    at: ColumnElement[datetime],
    row_id: ColumnElement[Any],
    span: Span,
    also: Sequence[ColumnElement[bool]] = (),
) -> Part[Row]:
    """The rows of `query` that were changed from `span.since` on, in that order, and for which
    `also` holds, which has no index (see `store.kit.paging.merged`). The first page
    says until when, and the later ones keep to it: what changes meanwhile is not in them, and is
    found from there on."""
    if span.since is None:
        raise ValueError("since when is not said")
    until = await settled(tx) if span.cursor is None else _until(span.cursor)
    narrowed = query.where(at >= span.since, at < until)
    name = f"{_NAME}{until.isoformat()}"
    return replace(await page(tx, narrowed, rising(at, row_id), span, name, also), until=until)


def _until(cursor: str) -> datetime:
    """Raises ValidationFailed."""
    order = Cursor.order_of(cursor)
    try:
        until = datetime.fromisoformat(order.removeprefix(_NAME))
        if not order.startswith(_NAME) or until.tzinfo is None or not is_kept(until):
            raise ValueError(order)
    except ValueError as error:
        message = "is no cursor of what has changed"
        raise ValidationFailed([FieldError("cursor", message)]) from error
    return until
