"""The command log as the shard hosts write and read it: what they have answered, for a week."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from store.hosts.batches import REMEMBERED
from store.hosts.tables import command_log
from store.hosts.writes import insert


class Logged(NamedTuple):
    """One line of the command log. `reply` is opaque to the store."""

    command_id: UUID
    tenant_id: UUID
    fingerprint: bytes
    reply: bytes


# Written after all else of a batch.
LOG = {"command_log": insert(command_log, ("id", "tenant_id", "fingerprint", "reply"))}

_READ = f"""
SELECT id, tenant_id, fingerprint, reply FROM command_log
WHERE id = ANY($1::uuid[]) AND {REMEMBERED}"""  # noqa: S608


async def read(connection: asyncpg.Connection, command_ids: Sequence[UUID]) -> dict[UUID, Logged]:
    """The lines of these commands, in one indexed query."""
    rows = await connection.fetch(_READ, command_ids)
    lines = [Logged(*row) for row in rows]
    return {line.command_id: line for line in lines}
