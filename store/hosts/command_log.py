"""The command log as the shard hosts write and read it: what they have answered, for a week."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from store.hosts.batches import REMEMBERED, Write


class Logged(NamedTuple):
    """One line of the command log. `reply` is opaque to the store."""

    command_id: UUID
    tenant_id: UUID
    fingerprint: bytes
    reply: bytes


# Written after all else of a batch.
LOG = {
    "command_log": Write(
        """
INSERT INTO command_log (id, tenant_id, fingerprint, reply)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[])"""
    )
}


_READ = f"""
SELECT id, tenant_id, fingerprint, reply FROM command_log
WHERE id = ANY($1::uuid[]) AND {REMEMBERED}"""  # noqa: S608


async def read(connection: asyncpg.Connection, command_ids: Sequence[UUID]) -> dict[UUID, Logged]:
    """The lines of these commands, in one indexed query."""
    rows = await connection.fetch(_READ, command_ids)
    return {row[0]: Logged(*row) for row in rows}
