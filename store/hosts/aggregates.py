"""How the shard hosts read and write the tables of aggregates: by what each store module
registers, one statement per kind of key, per table, and per batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from store.hosts.batches import Write
from store.hosts.reads import Read


class Tables(NamedTuple):
    """What a store module registers.

    - `reads`: by kind of key. `writes`: by table, in the order in which they are written.
    - `due`: by kind of key, a statement that takes shards, a time for each after which to begin,
      one to end with (both in ms since the epoch, of falling due), and how many of each shard.
      It gives the shard and what the kind's timer is made of, the earliest of each shard, with
      all that fall due at the same time as the last.
    """

    reads: Mapping[str, Read]
    writes: Mapping[str, Write]
    due: Mapping[str, str]


OUTBOX = Tables(
    {},
    {
        "outbox": Write(
            """
INSERT INTO outbox (event_id, tenant_id, type, subject, time, data)
SELECT gen_random_uuid(), a, b, c, to_timestamp(d / 1000.0), e::jsonb
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[]) AS r(a, b, c, d, e)""",
            ("tenant_id", "type", "subject", "time", "data"),
        )
    },
    {},
)


class AggregateLoader:
    """See `store.hosts.journal.Loader`. Tables are written in the order of the modules, so that no
    two hosts ever wait for each other; the outbox last."""

    def __init__(self, modules: Sequence[Tables]) -> None:
        self.reads: dict[str, Read] = {}
        self.writes: dict[str, Write] = {}
        self._due: dict[str, str] = {}
        for module in (*modules, OUTBOX):
            if both := self.writes.keys() & module.writes.keys():
                raise ValueError(f"registered twice: {both}")
            self.reads |= module.reads
            self.writes |= module.writes
            self._due |= module.due

    def check(self, rows: Mapping[str, Any], read: Mapping[str, Any]) -> None:
        """Raises ValueError unless `rows`, by write, and `read`, by kind of key, are NamedTuples of
        the very columns, in their order, and none is missing."""
        for given, known in ((rows, self.writes), (read, self.reads)):
            if odd := given.keys() ^ known.keys():
                raise ValueError(f"either rows or tables have no {sorted(odd)}")
            for name, row in given.items():
                columns: tuple[str, ...] = known[name].columns
                if row._fields != columns:
                    raise ValueError(f"{row.__name__} is {row._fields}, {name} has {columns}")

    async def load(self, connection: asyncpg.Connection, keys: Sequence[Any]) -> dict[Any, Any]:
        """Rows by key, without what does not exist; one query per kind of key."""
        by_kind: dict[str, list[Any]] = {}
        for key in keys:
            by_kind.setdefault(key.kind, []).append(key)
        found: dict[Any, Any] = {}
        for kind, wanted in by_kind.items():
            read = self.reads[kind]
            rows = await connection.fetch(read.statement, *read.arguments(wanted))
            found |= {wanted[place - 1]: tuple(columns) for place, *columns in rows}
        return found

    async def due(
        self,
        connection: asyncpg.Connection,
        after_ms: Mapping[int, int],
        until_ms: int,
        at_most: int,
    ) -> list[tuple[int, Any]]:
        """What falls due next: (shard, (kind, ...)); see `store.hosts.journal.HostStore.due`."""
        arguments = (list(after_ms), list(after_ms.values()), until_ms, at_most)
        return [
            (shard, (kind, *columns))
            for kind, statement in self._due.items()
            for shard, *columns in await connection.fetch(statement, *arguments)
        ]
