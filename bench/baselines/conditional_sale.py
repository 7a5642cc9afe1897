"""A whole sale in one transaction over asyncpg: two statements between BEGIN and COMMIT.

First the goods, by a conditional UPDATE of each level in the order of ids, all in one round trip
and answered with the prices. Then everything else in one statement: the register gives its number
as late as can be, and holds its lock no longer than the flush takes.
"""

from __future__ import annotations

import asyncpg

from bench.baselines.selling import Basket, Goods, Sold, price
from bench.tills import CURRENCY

TAKE = """
UPDATE stock s SET on_hand = s.on_hand - $3
FROM products p
WHERE s.product_id = $1 AND s.tenant_id = $2 AND s.on_hand - s.reserved >= $3
  AND p.id = s.product_id
RETURNING p.id, p.name, p.sku, p.price_minor, p.tax_rate_ppm"""

RING_UP = """
WITH till AS (
  UPDATE registers SET next_receipt_number = next_receipt_number + 1,
    drawer_minor = drawer_minor + $9
  WHERE id = $3 AND tenant_id = $2 AND shift_id IS NOT NULL
  RETURNING next_receipt_number - 1 AS receipt_number, shift_id
), sale AS (
  INSERT INTO sales (id, tenant_id, register_id, shift_id, receipt_number, status, currency,
    total_minor, tax_minor, tendered_minor, change_minor, created_by, created_at)
  SELECT $1, $2, $3, shift_id, receipt_number, 'completed', $4, $5, $6, $7, $8, $10, $11 FROM till
), lines AS (
  INSERT INTO sale_lines (sale_id, number, tenant_id, product_id, name, sku, quantity,
    unit_price_minor, tax_rate_ppm, tax_minor, total_minor)
  SELECT $1, line.number, $2, line.product_id, line.name, line.sku, line.quantity, line.price,
    line.rate, line.tax, line.total
  FROM till, unnest($12::uuid[], $13::text[], $14::text[], $15::int[], $16::bigint[], $17::int[],
      $18::bigint[], $19::bigint[]) WITH ORDINALITY
    AS line(product_id, name, sku, quantity, price, rate, tax, total, number)
), paid AS (
  INSERT INTO payments (sale_id, number, tenant_id, method, amount_minor)
  SELECT $1, paid.number, $2, paid.method, paid.amount
  FROM till, unnest($20::text[], $21::bigint[]) WITH ORDINALITY AS paid(method, amount, number)
), drawer AS (
  INSERT INTO drawer_movements (sale_id, tenant_id, shift_id, amount_minor, occurred_at)
  SELECT $1, $2, shift_id, $9, $11 FROM till
)
SELECT receipt_number, shift_id FROM till"""


class _Refused(Exception):
    """Ends the transaction."""


async def sell(pool: asyncpg.Pool, basket: Basket) -> Sold | None:
    """See `bench.baselines.selling.Till`."""
    try:
        async with pool.acquire() as connection, connection.transaction():
            return await _sell(connection, basket)
    except _Refused:
        return None


async def _sell(connection: asyncpg.Connection, basket: Basket) -> Sold:
    taken = await connection.fetchmany(
        TAKE,
        [
            (product_id, basket.tenant_id, quantity)
            for product_id, quantity in basket.quantities.items()
        ],
    )
    priced = price(basket, [Goods(*row) for row in taken])
    if len(taken) < len(basket.quantities) or priced is None:
        raise _Refused
    lines = priced.lines
    given = await connection.fetchrow(
        RING_UP,
        basket.id,
        basket.tenant_id,
        basket.register_id,
        CURRENCY,
        priced.total_minor,
        priced.tax_minor,
        priced.tendered_minor,
        priced.change_minor,
        priced.cash_minor,
        basket.created_by,
        basket.created_at,
        [line.goods.product_id for line in lines],
        [line.goods.name for line in lines],
        [line.goods.sku for line in lines],
        [line.quantity for line in lines],
        [line.goods.price_minor for line in lines],
        [line.goods.tax_rate_ppm for line in lines],
        [line.tax_minor for line in lines],
        [line.total_minor for line in lines],
        [payment.method for payment in priced.payments],
        [payment.amount_minor for payment in priced.payments],
    )
    if given is None:
        raise _Refused
    return Sold(priced, *given)
