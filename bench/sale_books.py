"""Whether sales are in the database as they were answered: goods, receipts and money alike."""

from __future__ import annotations

from dataclasses import dataclass

from bench import goods, tills
from bench.books import NotExact, settled
from bench.contenders import Running
from bench.ground import Ground, Kind

# What a product had at first: its level without what was sold.
_OPENING = (
    f"CASE s.product_id WHEN '{goods.product_id(goods.SOLD_OUT)}' THEN {goods.FEW}"
    f" ELSE {goods.PLENTY} END"
)

# Sales, units of their lines, units in the ledger (as many as in lines where there is none),
# receipts (as many as sales where they are not kept apart); then how many are not as they should
# be: sales, whose lines and payments must add up; products, whose level must be short of what
# was sold; registers, whose receipts must count from one without a gap; drawers, which must hold
# what was paid in cash.
_BASELINE = f"""
SELECT (SELECT count(*) FROM sales),
  (SELECT coalesce(sum(quantity), 0)::bigint FROM sale_lines),
  (SELECT coalesce(sum(quantity), 0)::bigint FROM sale_lines),
  (SELECT count(*) FROM sales),
  (SELECT count(*) FROM sales s
    LEFT JOIN (SELECT sale_id, count(*) AS lines, sum(total_minor) AS total FROM sale_lines
      GROUP BY 1) l ON l.sale_id = s.id
    LEFT JOIN (SELECT sale_id, sum(amount_minor) AS paid FROM payments GROUP BY 1) p
      ON p.sale_id = s.id
    WHERE (l.lines, l.total, p.paid) IS DISTINCT FROM ({tills.LINES}, s.total_minor, s.total_minor)
      OR s.total_minor <> {tills.DUE_MINOR}),
  (SELECT count(*) FROM stock s
    LEFT JOIN (SELECT product_id, sum(quantity) AS units FROM sale_lines GROUP BY 1) l
      USING (product_id)
    WHERE {_OPENING} - s.on_hand <> coalesce(l.units, 0)),
  (SELECT count(*) FROM registers g
    LEFT JOIN (SELECT register_id, count(DISTINCT receipt_number) AS given,
      max(receipt_number) AS last FROM sales GROUP BY 1) r ON r.register_id = g.id
    WHERE g.next_receipt_number - 1 <> coalesce(r.given, 0)
      OR g.next_receipt_number - 1 <> coalesce(r.last, 0)),
  (SELECT count(*) FROM registers g
    LEFT JOIN (SELECT register_id, sum(amount_minor) AS cash FROM sales s
      JOIN payments p ON p.sale_id = s.id WHERE p.method = 'cash' GROUP BY 1) c
      ON c.register_id = g.id
    WHERE g.drawer_minor <> coalesce(c.cash, 0))"""

_HOLDFAST = f"""
SELECT (SELECT count(*) FROM pos_sales),
  (SELECT coalesce(sum(quantity), 0)::bigint FROM pos_sale_lines),
  (SELECT coalesce(-sum(on_hand_delta), 0)::bigint FROM stock_movements WHERE kind = 'sold'),
  (SELECT count(*) FROM pos_receipts r JOIN pos_sales s
    ON (s.id, s.register_id, s.receipt_number) = (r.subject_id, r.register_id, r.number)),
  (SELECT count(*) FROM pos_sales s
    LEFT JOIN (SELECT sale_id, count(*) AS lines, sum(total_minor) AS total FROM pos_sale_lines
      GROUP BY 1) l ON l.sale_id = s.id
    LEFT JOIN (SELECT sale_id, sum(amount_minor) AS paid FROM pos_payments GROUP BY 1) p
      ON p.sale_id = s.id
    WHERE (l.lines, l.total, p.paid) IS DISTINCT FROM ({tills.LINES}, s.total_minor, s.total_minor)
      OR s.total_minor <> {tills.DUE_MINOR}),
  (SELECT count(*) FROM stock_levels s
    LEFT JOIN (SELECT item_id AS product_id, sum(quantity) AS units FROM pos_sale_lines GROUP BY 1)
      l USING (product_id)
    WHERE {_OPENING} - s.on_hand <> coalesce(l.units, 0)),
  (SELECT count(*) FROM pos_registers g
    LEFT JOIN (SELECT register_id, count(DISTINCT number) AS given, max(number) AS last
      FROM pos_receipts GROUP BY 1) r ON r.register_id = g.id
    WHERE g.next_receipt_number - 1 <> coalesce(r.given, 0)
      OR g.next_receipt_number - 1 <> coalesce(r.last, 0)),
  (SELECT count(*) FROM pos_shifts g
    LEFT JOIN (SELECT shift_id, sum(amount_minor) AS cash FROM pos_sales s
      JOIN pos_payments p ON p.sale_id = s.id WHERE p.method = 'cash' GROUP BY 1) c
      ON c.shift_id = g.id
    WHERE g.expected_minor - g.opening_float_minor <> coalesce(c.cash, 0))"""

QUERIES: dict[Kind, str] = {"baseline": _BASELINE, "holdfast": _HOLDFAST}


@dataclass(frozen=True, slots=True)
class SaleBooks:
    sales: int
    units: int
    ledger: int
    receipts: int
    wrong_sales: int
    wrong_products: int
    wrong_registers: int
    wrong_drawers: int


def read(running: Running, ground: Ground) -> SaleBooks:
    """The books of the till once nothing moves any more. Raises NotExact."""
    return SaleBooks(*settled(running, ground, QUERIES[running.contender.kind]))


def check(before: SaleBooks, after: SaleBooks, granted: int, unheard: int) -> None:
    """Every sale that was answered is there, and at most as many more as there were requests
    whose answer the load did not wait for when its time was over; goods, receipts and drawers
    agree with the sales. Raises NotExact."""
    added = after.sales - before.sales
    if not granted <= added <= granted + unheard:
        raise NotExact(f"{granted} sales were answered, the database has {added} more")
    if after.units != tills.LINES * after.sales or after.ledger != after.units:
        raise NotExact(f"{after.sales} sales, {after.units} units, {after.ledger} in the ledger")
    if after.receipts != after.sales:
        raise NotExact(f"{after.sales} sales, {after.receipts} receipts")
    wrong = {
        "sales that do not add up": after.wrong_sales,
        "products whose level is not what sales left": after.wrong_products,
        "registers whose receipts have gaps": after.wrong_registers,
        "drawers that do not hold their cash": after.wrong_drawers,
    }
    if faults := [f"{count} {what}" for what, count in wrong.items() if count]:
        raise NotExact(", ".join(faults))
