"""The sandbox's own ledger of charges against the tills': no shop keeps money for nothing."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

from tests.stack import Stack

SETTLED_SECONDS = 60.0

_WAITING = """
SELECT (SELECT count(*) FROM card_payments
        WHERE status IN ('charging', 'charged', 'refunding') AND created_at >= $1)
     + (SELECT count(*) FROM card_refunds WHERE refunded_at IS NULL AND created_at >= $1)"""
# What the provider kept of each charge, and what the till should have got by it: what the sale
# was paid by that card, less what returns gave back to it; nothing if there is no sale.
_WRONG = """
SELECT p.id, p.status, charge.number, kept.amount_minor AS kept_minor,
  due.amount_minor AS due_minor
FROM card_payments p JOIN card_charges charge ON charge.payment_id = p.id
CROSS JOIN LATERAL (
  SELECT coalesce(sum(c.amount_minor - coalesce((
    SELECT sum(r.amount_minor) FROM sandbox_refunds r WHERE r.charge_key = c.key), 0)), 0)
    AS amount_minor
  FROM sandbox_charges c WHERE c.key = charge.id::text AND c.status = 'approved') AS kept
CROSS JOIN LATERAL (
  SELECT coalesce(sum(paid.amount_minor - paid.refunded_minor), 0) AS amount_minor
  FROM pos_payments paid WHERE paid.sale_id = p.sale_id AND paid.method = 'card'
    AND paid.reference = charge.charge_id) AS due
WHERE kept.amount_minor <> due.amount_minor"""
_STRAY = """
SELECT key FROM sandbox_charges
WHERE NOT EXISTS (SELECT 1 FROM card_charges c WHERE c.id::text = key)
UNION ALL
SELECT sale_id::text FROM pos_payments paid WHERE method = 'card'
  AND NOT EXISTS (SELECT 1 FROM card_charges c WHERE c.charge_id = paid.reference)"""
_COUNT = "SELECT count(*) FROM sandbox_charges WHERE status = 'approved'"


async def audit_charges(stack: Stack, since: datetime) -> int:
    """How many charges the provider made. Raises AssertionError for one that did not end as
    exactly one of a sale or money given back; waits for those that began at `since` or later."""
    connection = await stack.database()
    try:
        deadline = time.monotonic() + SETTLED_SECONDS
        while waiting := await connection.fetchval(_WAITING, since):
            assert time.monotonic() < deadline, f"{waiting} cards wait"
            await asyncio.sleep(0.5)
        wrong = [dict(row) for row in await connection.fetch(_WRONG)]
        stray = [row["key"] for row in await connection.fetch(_STRAY)]
        made: int = await connection.fetchval(_COUNT)
    finally:
        await connection.close()
    assert not wrong
    assert not stray
    return made
