"""The command log, for mutations that are plain SQL: the reply is written with the effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Text, cast, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import IdempotencyMismatch
from core.request import RequestKey
from store.hosts.tables import command_log

# Writes something, so that the transaction's COMMIT waits as a writer's does.
_WAIT_AS_A_WRITER = select(func.pg_logical_emit_message(True, "holdfast.repeat", ""))

# The transaction has its number before it gives moments: see `store.kit.changes`.
_NUMBER = cast(func.pg_current_xact_id(), Text)

_WITHIN_A_WEEK = text("command_log.created_on >= (now() AT TIME ZONE 'UTC')::date - 7")


class Recorded(NamedTuple):
    """An answer as it goes over the wire: HTTP status and body."""

    status: int
    body: bytes


async def once(
    tx: AsyncConnection,
    tenant_id: UUID,
    key: RequestKey,
    work: Callable[[], Awaitable[Recorded]],
) -> Recorded:
    """Runs `work` in `tx` unless this command was answered before; then gives that answer.

    `tenant_id` is the business, or for a shopper's own mutation the user; it must be the scope's.
    Two attempts at once are ordered by a lock that the transaction holds to its end. If `work`
    raises, everything is rolled back and nothing recorded: the key may be used anew. Raises
    IdempotencyMismatch if the key was used with another body, or today in another scope.
    """
    if not key.client_supplied:
        # The client does not know a key that the gateway made, so it cannot repeat it.
        await tx.execute(select(_NUMBER))
        return await work()
    lock = int.from_bytes(key.command_id.bytes[:8], signed=True)
    await tx.execute(select(func.pg_advisory_xact_lock(lock), _NUMBER))
    known = await answered(tx, key)
    if known is not None:
        return known
    recorded = await work()
    written = await tx.execute(
        insert(command_log)
        .inline()
        .values(
            id=key.command_id,
            tenant_id=tenant_id,
            fingerprint=key.fingerprint,
            reply=recorded.status.to_bytes(2) + recorded.body,
        )
        .on_conflict_do_nothing()
    )
    if not written.rowcount:
        # Known, and not seen by `answered`: the key was used for something in another scope.
        raise IdempotencyMismatch
    return recorded


async def answered(tx: AsyncConnection, key: RequestKey) -> Recorded | None:
    """The answer that this command had before, if any. Raises IdempotencyMismatch if the key was
    used with another body.

    The commit that we find may be on this server alone, when its wait for a synchronous standby was
    cut off. Commits reach a standby in their order, so that a replica that answers from the log
    commits something itself, and is answered once a standby has both.
    """
    if not key.client_supplied:
        return None
    query = select(command_log.c.fingerprint, command_log.c.reply).where(
        command_log.c.id == key.command_id, _WITHIN_A_WEEK
    )
    known = (await tx.execute(query)).first()
    if known is None:
        return None
    if known.fingerprint != key.fingerprint:
        raise IdempotencyMismatch
    await tx.execute(_WAIT_AS_A_WRITER)
    return Recorded(int.from_bytes(known.reply[:2]), known.reply[2:])


async def logged_replies(tx: AsyncConnection, command_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """The log's entries of commands that hosts have decided in the last week, by id, in the
    encoding of hosts. Unknown commands are left out."""
    query = select(command_log.c.id, command_log.c.reply).where(
        command_log.c.id.in_(command_ids), _WITHIN_A_WEEK
    )
    found = (await tx.execute(query)).all()
    return {row.id: row.reply for row in found}
