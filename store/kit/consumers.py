"""How consumers read what was emitted: committed rows of the outbox, in the order of their ids,
each with its effect in one transaction.

Ids are given when a row is inserted, and rows become visible when their transaction commits, so
that a row may appear below one that was read already. No consumer reads beyond what is *settled*:
an id below which no row can appear any more. Every writer has its transaction's number before its
rows have ids (plain SQL by `store.kit.outbox`, a host because it proves its leases first). So of
each id below a row that is visible, the transaction's number is below every number that is given
afterwards, and once no such transaction is running the ids are settled. `look` takes a number for
itself, so as to have one that was given afterwards: a snapshot's end is the highest number that has
*ended*, plus one, and transactions with higher numbers may be running. Order by id is the order of
commits per subject, since its row is locked before the id is given; the order of transactions'
numbers is not. Numbers of transactions are only compared while a process remembers them: a database
may be dumped, and restored where they begin anew.

A position is the id up to which a consumer has handled every event. An event that failed, and later
events of its subject, wait in the consumer's backlog meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Table,
    Text,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from store.kit.engine import Database
from store.kit.schema import exempt, metadata, moment, of_nobody

consumers = Table(
    "consumers",
    metadata,
    Column("name", Text, primary_key=True, info=exempt(no_bound="a name of ours")),
    Column("position", BigInteger, nullable=False, comment="Id of the last event seen to"),
    moment("begun_at", server_default=func.now()),
    moment("moved_at", server_default=func.now()),
    moment("missed_at", nullable=True, comment="When events that it had not read were deleted"),
    comment="Who reads events, and up to where each has come",
    info=of_nobody(app="SELECT, INSERT, UPDATE", host="SELECT, UPDATE, DELETE"),
)


# A STABLE function sees what the statement sees, which is older than the number that is taken here.
_LOOK = """
SELECT newest, oldest_running, CASE WHEN newest > $1 THEN pg_current_xact_id()::text::bigint
  ELSE next_transaction END AS next_transaction, is_due FROM look_for_events()
"""


class Look(NamedTuple):
    """`newest`: the highest id that is visible. `oldest_running` is the number of the oldest
    transaction that runs; `next_transaction` is above the numbers of all that may have ids up to
    `newest`, but for what was settled before. `is_due`: whether an event in a backlog is due to be
    tried."""

    newest: int
    oldest_running: int
    next_transaction: int
    is_due: bool


async def look(db: Database, settled: int | None) -> Look:
    """Looks for what there is to read, by a single indexed query, which takes a transaction's
    number only where more is visible than is `settled`. Raises Unavailable."""
    found = await db.look_up(_LOOK, -1 if settled is None else settled)
    if found is None:
        raise RuntimeError("the function always answers")
    return Look(*found)


class Settled:
    """The id below which no row can appear any more, by the looks so far; None: not known yet. One
    look is enough while nothing is written; otherwise it takes two, and all transactions that ran
    at the first have ended by the second."""

    def __init__(self) -> None:
        self.id: int | None = None
        self._noted: Look | None = None
        self._latest = 0

    def see(self, seen: Look) -> None:
        is_another_server = seen.next_transaction < self._latest
        self._latest, noted = seen.next_transaction, self._noted
        if is_another_server:
            # A standby that lacks some transactions has taken over: its ids are others. This look
            # still went by the old ones.
            self.id = self._noted = None
            return
        if seen.oldest_running >= seen.next_transaction:
            self._settle(seen)
        elif noted is not None and seen.oldest_running >= noted.next_transaction:
            self._settle(noted)
        if self._noted is None:
            self._noted = seen

    def _settle(self, seen: Look) -> None:
        self.id = max(seen.newest, self.id or 0)
        self._noted = None

    def is_behind(self, seen: Look) -> bool:
        """Whether rows are visible that are not settled."""
        return self.id is None or self.id < seen.newest


class Row(NamedTuple):
    """An event as it is stored. `waits`: an earlier one of its subject is in the backlog."""

    id: int
    event_id: UUID
    tenant_id: UUID
    type: str
    subject: str
    time: datetime
    data: str
    waits: bool


class Batch(NamedTuple):
    """The events that a consumer wants, and the id up to which there are no others; None: no
    rows."""

    rows: list[Row]
    last: int | None


async def begin(tx: AsyncConnection, name: str, position: int) -> None:
    """Enters a consumer that is not known yet, to read what comes after `position`. Looks first: an
    INSERT would wait for a process that is moving the position of one that is."""
    known = select(consumers.c.name).where(consumers.c.name == name)
    if await tx.scalar(known) is None:
        row = insert(consumers).values(name=name, position=position)
        await tx.execute(row.on_conflict_do_nothing())


async def take(tx: AsyncConnection, name: str) -> int | None:
    """The position, locked for the caller until `tx` ends; None while another process has it."""
    query = select(consumers.c.position).where(consumers.c.name == name)
    position: int | None = await tx.scalar(query.with_for_update(key_share=True, skip_locked=True))
    return position


async def read(
    tx: AsyncConnection, name: str, after: int, upto: int, at_most: int, kinds: Sequence[str]
) -> Batch:
    """The events of `kinds` among the next `at_most` rows, of all tenants."""
    found = await tx.execute(
        text("SELECT * FROM read_events(:name, :after, :upto, :at_most, :kinds)"),
        {"name": name, "after": after, "upto": upto, "at_most": at_most, "kinds": [*kinds]},
    )
    # The last row says how far this has read.
    *rows, last = (Row(*row) for row in found)
    return Batch(rows, last.id)


async def move(tx: AsyncConnection, name: str, position: int) -> None:
    """Records that everything up to `position` is handled. The caller has locked it by `take`."""
    changed = consumers.update().where(consumers.c.name == name)
    await tx.execute(changed.values(position=position, moved_at=func.now()))
