"""A database in which consumers write down what they were given, and what tests see of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text

from core.events import Delivery
from core.ids import uuid7
from deployments.kit.consumers import Consumer
from deployments.kit.event_reader import run
from store.kit.engine import Database, Scope, Transaction
from store.kit.outbox import emit
from store.kit.schema import APP_ROLE, TENANT
from tests.runtime.kit import Urls
from tests.store.events import ThingBroken, ThingMade

EFFECTS = f"""
CREATE TABLE effects (
  id bigint GENERATED ALWAYS AS IDENTITY, consumer text, tenant_id uuid, event_id uuid,
  subject text, name text);
ALTER TABLE effects ENABLE ROW LEVEL SECURITY;
CREATE POLICY effects_tenant ON effects TO {APP_ROLE} USING (tenant_id = {TENANT});
GRANT SELECT, INSERT ON effects TO {APP_ROLE};
"""
FAST_SECONDS = 0.05
QUICK = {"max_attempts": 3, "retry_seconds": 0.02}
_WRITE = text(
    "INSERT INTO effects (consumer, tenant_id, event_id, subject, name)"
    " VALUES (:consumer, :tenant_id, :event_id, :subject, :name)"
)


async def note(tx: Transaction, consumer: str, tenant_id: UUID, delivery: Delivery) -> None:
    """The effect of a delivery: a row, with no key that would keep a second one out."""
    event = delivery.event
    assert isinstance(event, ThingMade | ThingBroken)
    await tx.execute(
        _WRITE,
        {
            "consumer": consumer,
            "tenant_id": tenant_id,
            "event_id": delivery.id,
            "subject": delivery.subject,
            "name": event.name,
        },
    )


def noting(name: str = "noting", **options: Any) -> Consumer:
    """A consumer that notes what it is given."""

    async def handle(tx: Transaction, tenant_id: UUID, delivery: Delivery) -> None:
        await note(tx, name, tenant_id, delivery)

    return Consumer(name, (ThingMade,), **{"handle": handle, "begins": "oldest", **options})


class Ground:
    """A database's three ways in, as a test uses them."""

    def __init__(self, urls: Urls, owner: asyncpg.Connection) -> None:
        self.urls, self.owner = urls, owner
        self.db = Database(urls.app)

    async def emit(self, tenant_id: UUID, subject: UUID, *names: str) -> None:
        """Each in a transaction of its own."""
        for name in names:
            async with self.db.transaction(Scope(tenant_id)) as tx:
                await emit(tx, tenant_id, subject, ThingMade(name=name))

    async def names(self, consumer: str = "noting", subject: UUID | None = None) -> list[str]:
        """What the consumer noted, in the order in which it did."""
        rows = await self.owner.fetch(
            "SELECT name FROM effects WHERE consumer = $1 AND ($2::text IS NULL OR subject = $2)"
            " ORDER BY id",
            consumer,
            None if subject is None else str(subject),
        )
        return [row["name"] for row in rows]

    async def wait_for(self, names: Sequence[str], consumer: str = "noting") -> None:
        """Until the consumer has noted these, in any order, and no more."""
        found: list[str] = []
        try:
            async with asyncio.timeout(20):
                while sorted(found := await self.names(consumer)) != sorted(names):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{found} instead of {names}") from None

    async def wait_until(self, condition: str, *arguments: Any) -> None:
        async with asyncio.timeout(20):
            while not await self.owner.fetchval(f"SELECT {condition}", *arguments):
                await asyncio.sleep(0.02)

    async def newest(self) -> int:
        return int(await self.owner.fetchval("SELECT coalesce(max(id), 0) FROM outbox"))

    async def passed(self, consumer: str, event_id: int) -> None:
        """Until the consumer's position is there."""
        await self.wait_until(
            "EXISTS (SELECT FROM consumers WHERE name = $1 AND position >= $2)", consumer, event_id
        )

    @asynccontextmanager
    async def open_emit(self, tenant_id: UUID, subject: UUID, name: str) -> AsyncIterator[None]:
        """An event whose transaction commits when the block ends."""
        async with self.db.transaction(Scope(tenant_id)) as tx:
            await emit(tx, tenant_id, subject, ThingMade(name=name))
            yield


@asynccontextmanager
async def ground(urls: Urls) -> AsyncIterator[Ground]:
    owner = await asyncpg.connect(urls.owner)
    found = Ground(urls, owner)
    try:
        yield found
    finally:
        await found.db.close()
        await owner.close()


@asynccontextmanager
async def consuming(
    url: str, *consumers: Consumer, poll_seconds: float = FAST_SECONDS
) -> AsyncIterator[asyncio.Task[None]]:
    """A process's consumers, as far as the database can tell."""
    db = Database(url)
    task = asyncio.create_task(run(db, consumers, poll_seconds=poll_seconds))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await db.close()


def some_ids(count: int) -> list[UUID]:
    return [uuid7() for _ in range(count)]
