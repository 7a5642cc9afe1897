"""Whether what is sold from agrees with its ledger: levels, gift cards, drawers.

Each ledger's line tells what it came to. So a state is compared with the last line alone, for a
sample of bounded size; `deep` adds up every line of everything.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from store.doctor.health import Connection

SAMPLED = 10_000
MAX_TOLD = 20
_SHIFTS = 500


class Contradiction(NamedTuple):
    """A thing of a business, what its state says, and what its ledger comes to."""

    tenant_id: UUID
    thing: str
    state: str
    ledger: str


async def _sample(connection: Connection, table: str) -> str:
    """A clause that picks pages of a big table, so that about SAMPLED rows are looked at."""
    rows = await connection.fetchval(
        "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = $1::regclass", table
    )
    percent = 100 * SAMPLED / rows if rows > SAMPLED else 100
    return "" if percent >= 100 else f"TABLESAMPLE SYSTEM ({percent:.6f})"


async def levels(connection: Connection) -> list[Contradiction]:
    """Of a sample: a level that differs from the last line of its ledger."""
    rows = await connection.fetch(
        "SELECT l.tenant_id, 'item ' || l.product_id || ' at location ' || l.location_id,"  # noqa: S608
        " format('%s, %s, %s', l.on_hand, l.reserved, l.incoming),"
        " format('%s, %s, %s', coalesce(m.on_hand_after, 0), coalesce(m.reserved_after, 0),"
        "   coalesce(m.incoming_after, 0))"
        f" FROM stock_levels l {await _sample(connection, 'stock_levels')} LEFT JOIN LATERAL ("
        "   SELECT on_hand_after, reserved_after, incoming_after FROM stock_movements s"
        "   WHERE s.product_id = l.product_id AND s.location_id = l.location_id"
        "   ORDER BY s.sequence DESC LIMIT 1) AS m ON true"
        " WHERE (l.on_hand, l.reserved, l.incoming) IS DISTINCT FROM"
        "   (coalesce(m.on_hand_after, 0), coalesce(m.reserved_after, 0),"
        "    coalesce(m.incoming_after, 0))"
        f" LIMIT {MAX_TOLD}"
    )
    return [Contradiction(*row) for row in rows]


async def gift_cards(connection: Connection, *, deep: bool) -> list[Contradiction]:
    """A card whose balance differs from its ledger."""
    ledger = (
        "SELECT sum(delta_minor)::bigint AS balance FROM gift_card_movements m"
        " WHERE m.card_id = c.id"
        if deep
        else "SELECT balance_minor AS balance FROM gift_card_movements m WHERE m.card_id = c.id"
        " ORDER BY m.sequence DESC LIMIT 1"
    )
    sample = "" if deep else await _sample(connection, "gift_cards")
    rows = await connection.fetch(
        "SELECT c.tenant_id, 'gift card ' || c.id, c.balance_minor::text,"  # noqa: S608
        f" coalesce(m.balance, 0)::text FROM gift_cards c {sample}"
        f" LEFT JOIN LATERAL ({ledger}) AS m ON true"
        f" WHERE c.balance_minor <> coalesce(m.balance, 0) LIMIT {MAX_TOLD}"
    )
    return [Contradiction(*row) for row in rows]


async def drawers(connection: Connection, *, deep: bool) -> list[Contradiction]:
    """A shift whose drawer should hold something else than float, cash sales, cash refunds and
    what was paid in and out come to. Of the open shifts, the first ones; `deep`: of every shift."""
    which = "" if deep else f"WHERE closed_at IS NULL LIMIT {_SHIFTS}"
    rows = await connection.fetch(
        "SELECT s.tenant_id, 'shift ' || s.id, s.expected_minor::text,"  # noqa: S608
        " (s.opening_float_minor + paid.sum - refunded.sum + moved.sum)::text"
        f" FROM (SELECT * FROM pos_shifts {which}) AS s,"
        " LATERAL (SELECT coalesce(sum(p.amount_minor), 0)::bigint AS sum FROM pos_sales x"
        "   JOIN pos_payments p ON p.sale_id = x.id AND p.method = 'cash'"
        "   WHERE x.shift_id = s.id) AS paid,"
        " LATERAL (SELECT coalesce(sum(p.amount_minor), 0)::bigint AS sum FROM pos_returns x"
        "   JOIN pos_refunds p ON p.return_id = x.id AND p.method = 'cash'"
        "   WHERE x.shift_id = s.id) AS refunded,"
        " LATERAL (SELECT coalesce(sum(CASE kind WHEN 'paid_in' THEN amount_minor"
        "   WHEN 'paid_out' THEN -amount_minor ELSE 0 END), 0)::bigint AS sum"
        "   FROM pos_cash_movements x WHERE x.shift_id = s.id) AS moved"
        " WHERE s.expected_minor <> s.opening_float_minor + paid.sum - refunded.sum + moved.sum"
        f" LIMIT {MAX_TOLD}"
    )
    return [Contradiction(*row) for row in rows]
