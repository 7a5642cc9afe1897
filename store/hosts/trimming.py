"""How long events are kept: a week, for consumers that begin with the oldest and for people who
look into what happened; longer for a consumer that has not read them, and for it a month at most.
"""

from __future__ import annotations

from typing import NamedTuple

import asyncpg

KEPT_DAYS, MAX_KEPT_DAYS = 7, 30
CHUNK = 5_000
# Of one round of the keeper's chores.
MAX_CHUNKS = 200

# From the oldest on, so that it ends where something is to be kept. Consumers that had not
# read what goes are noted: the doctor reports it.
_TRIM = """
WITH oldest AS MATERIALIZED (SELECT id, time FROM outbox ORDER BY id LIMIT $3),
  slowest AS (SELECT coalesce(min(position), 9223372036854775807) AS id FROM consumers),
  gone AS (
    DELETE FROM outbox o USING oldest, slowest WHERE o.id = oldest.id
      AND (oldest.time < now() - make_interval(days => $2)
        OR oldest.id <= slowest.id AND oldest.time < now() - make_interval(days => $1))
    RETURNING o.id),
  missed AS (
    UPDATE consumers c SET missed_at = now() WHERE c.position < (SELECT max(id) FROM gone)
    RETURNING c.name)
SELECT (SELECT count(*) FROM gone), (SELECT array_agg(name) FROM missed)
"""


class Trimmed(NamedTuple):
    """How many events were deleted, and whose consumers had not read all of them."""

    events: int
    missed_by: frozenset[str]


async def trim(connection: asyncpg.Connection) -> Trimmed:
    """Deletes what need not be kept, in small transactions. `connection` is the host role's."""
    events, missed_by = 0, frozenset[str]()
    for _ in range(MAX_CHUNKS):
        gone, missed = await connection.fetchrow(_TRIM, KEPT_DAYS, MAX_KEPT_DAYS, CHUNK)
        events, missed_by = events + gone, missed_by | frozenset(missed or ())
        if gone < CHUNK:
            break
    return Trimmed(events, missed_by)
