"""How the shard hosts read and write the till: one statement per kind of key and per table."""

from __future__ import annotations

from store.hosts.aggregates import Tables
from store.hosts.reads import WANTED, by_id, columns_of, reading
from store.hosts.writes import insert, update, upsert
from store.pos.card_refunds import card_refunds
from store.pos.tables import (
    gift_card_movements,
    gift_cards,
    pos_cash_movements,
    pos_payments,
    pos_receipts,
    pos_refunds,
    pos_registers,
    pos_return_lines,
    pos_returns,
    pos_sale_lines,
    pos_sales,
    pos_shifts,
)

_REGISTERS = reading(
    {
        **columns_of(
            pos_registers,
            "r",
            (
                "location_id",
                "name",
                "discount_limit_percent",
                "next_receipt_number",
                "shifts",
                "removed",
                "sequence",
            ),
        ),
        **columns_of(
            pos_shifts,
            "s",
            (
                "id",
                "number",
                "opened_by",
                "opened_at",
                "opening_float_minor",
                "currency",
                "totals",
                "cash_step_minor",
            ),
            prefix="shift_",
        ),
    },
    f"""{WANTED} JOIN pos_registers r ON r.id = k.id AND r.tenant_id = k.tenant
LEFT JOIN pos_shifts s ON s.id = r.shift_id""",
)

# Lines and payments travel in the order of the aggregate's fields.
_SALES = reading(
    {
        **columns_of(
            pos_sales,
            "s",
            (
                "register_id",
                "location_id",
                "shift_id",
                "receipt_number",
                "currency",
                "status",
                "tips_minor",
                "sequence",
                "upload_digest",
                "rounding_minor",
            ),
        ),
        "lines": """(SELECT coalesce(jsonb_agg(jsonb_build_array(l.item_id, l.product_id, l.name,
    l.sku, l.quantity, l.unit_price_minor, l.discount_minor, l.tax_rate_ppm, l.tax_minor,
    l.total_minor, l.parts, l.card_id, l.returned, l.quantity_decimals, l.unit)
    ORDER BY l.number), '[]')
  FROM pos_sale_lines l WHERE l.sale_id = s.id)""",
        "payments": """(SELECT coalesce(jsonb_agg(jsonb_build_array(p.method, p.amount_minor,
    p.reference, p.card_id, p.refunded_minor) ORDER BY p.number), '[]')
  FROM pos_payments p WHERE p.sale_id = s.id)""",
    },
    f"{WANTED} JOIN pos_sales s ON s.id = k.id AND s.tenant_id = k.tenant",
)

TABLES = Tables(
    reads={
        "register": _REGISTERS,
        "sale": _SALES,
        "gift_card": by_id(gift_cards),
    },
    writes={
        "pos_registers": upsert(pos_registers),
        "pos_shifts": upsert(
            pos_shifts,
            keep=(
                "register_id",
                "location_id",
                "number",
                "opened_by",
                "opened_at",
                "opening_float_minor",
                "currency",
                "cash_step_minor",
            ),
        ),
        "pos_cash_movements": insert(pos_cash_movements),
        "pos_receipts": insert(pos_receipts),
        "pos_sales": insert(pos_sales, without=("refunded_minor",)),
        "pos_sale_lines": insert(pos_sale_lines, without=("returned",)),
        "pos_payments": insert(pos_payments, without=("refunded_minor",)),
        "pos_sales returned": update(
            pos_sales, ("id", "tenant_id", "status", "refunded_minor", "sequence")
        ),
        "pos_sale_lines returned": update(pos_sale_lines, ("sale_id", "number", "returned")),
        "pos_payments refunded": update(pos_payments, ("sale_id", "number", "refunded_minor")),
        "pos_returns": insert(pos_returns),
        "pos_return_lines": insert(pos_return_lines),
        "pos_refunds": insert(pos_refunds),
        "card_refunds": insert(
            card_refunds,
            (
                "return_id",
                "number",
                "tenant_id",
                "charge_id",
                "amount_minor",
                "currency",
                "created_at",
            ),
        ),
        "gift_cards": upsert(
            gift_cards, keep=("currency", "last_four", "initial_minor", "expires_at")
        ),
        "gift_card_movements": insert(gift_card_movements),
    },
    due={},
)
