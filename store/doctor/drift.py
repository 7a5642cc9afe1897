"""Where levels and their ledgers disagree, or levels and open holds. It should be nowhere."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from core.errors import Unavailable
from store.kit.connect import FAILURES, connect

MAX_DIFFERENCES = 10_000
_TIMEOUT_SECONDS = 600


class Difference(NamedTuple):
    """An item at a location. `level_*` is what is sold from (None: there is no level), `ledger_*`
    the sums of the ledger, `held` what open holds come to. In units."""

    tenant_id: UUID
    product_id: UUID
    location_id: UUID
    level_on_hand: int | None
    level_reserved: int | None
    level_incoming: int | None
    ledger_on_hand: int
    ledger_reserved: int
    ledger_incoming: int
    held: int


# One statement sees one moment: what commits meanwhile is in all of it or in none.
_DIFFERENCES = f"""
WITH ledger AS (
  SELECT tenant_id, product_id, location_id, sum(on_hand_delta)::bigint AS on_hand,
    sum(reserved_delta)::bigint AS reserved, sum(incoming_delta)::bigint AS incoming
  FROM stock_movements GROUP BY tenant_id, product_id, location_id
), holds AS (
  SELECT tenant_id, line.product_id, location_id, sum(quantity)::bigint AS held
  FROM reservations, unnest(product_ids, quantities) AS line(product_id, quantity)
  WHERE status = 'open' GROUP BY tenant_id, line.product_id, location_id
)
SELECT tenant_id, product_id, location_id, l.on_hand AS level_on_hand,
  l.reserved AS level_reserved, l.incoming AS level_incoming,
  coalesce(m.on_hand, 0) AS ledger_on_hand, coalesce(m.reserved, 0) AS ledger_reserved,
  coalesce(m.incoming, 0) AS ledger_incoming, coalesce(h.held, 0) AS held
FROM stock_levels l
FULL JOIN ledger m USING (tenant_id, product_id, location_id)
FULL JOIN holds h USING (tenant_id, product_id, location_id)
WHERE ($1::uuid IS NULL OR tenant_id = $1)
  AND ((l.on_hand, l.reserved, l.incoming) IS DISTINCT FROM
    (coalesce(m.on_hand, 0), coalesce(h.held, 0), coalesce(m.incoming, 0))
    OR coalesce(m.reserved, 0) <> coalesce(h.held, 0))
ORDER BY tenant_id, product_id, location_id LIMIT {MAX_DIFFERENCES}"""  # noqa: S608


async def differences(url: str, tenant_id: UUID | None = None) -> list[Difference]:
    """All of them, or those of one business; the first MAX_DIFFERENCES. `url` is of a role that
    sees every business. Raises Unavailable."""
    try:
        connection = await connect(
            url, application_name="holdfast-drift", command_timeout_seconds=_TIMEOUT_SECONDS
        )
        try:
            rows = await connection.fetch(_DIFFERENCES, tenant_id)
        finally:
            await connection.close()
    except FAILURES as error:
        raise Unavailable(f"The database does not answer: {error}") from error
    return [Difference(**row) for row in rows]
