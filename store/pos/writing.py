"""How the shard hosts read and write the till: one statement per kind of key and per table."""

from __future__ import annotations

from store.hosts.aggregates import Read, Tables
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

_WANTED = "unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k(id, tenant, place)"

_LOAD_REGISTERS = f"""
SELECT k.place, r.location_id, r.name, r.discount_limit_percent, r.next_receipt_number, r.shifts,
  r.removed, r.sequence, s.id, s.number, s.opened_by,
  (extract(epoch FROM s.opened_at) * 1000)::bigint, s.opening_float_minor, s.currency, s.totals
FROM {_WANTED} JOIN pos_registers r ON r.id = k.id AND r.tenant_id = k.tenant
LEFT JOIN pos_shifts s ON s.id = r.shift_id"""  # noqa: S608

# Lines and payments travel in the order of the aggregate's fields.
_LOAD_SALES = f"""
SELECT k.place, s.register_id, s.location_id, s.shift_id, s.receipt_number, s.currency, s.status,
  s.tips_minor,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(l.item_id, l.product_id, l.name, l.sku, l.quantity,
    l.unit_price_minor, l.discount_minor, l.tax_rate_ppm, l.tax_minor, l.total_minor, l.parts,
    l.card_id, l.returned) ORDER BY l.number), '[]') FROM pos_sale_lines l WHERE l.sale_id = s.id),
  (SELECT coalesce(jsonb_agg(jsonb_build_array(p.method, p.amount_minor, p.reference, p.card_id,
    p.refunded_minor) ORDER BY p.number), '[]') FROM pos_payments p WHERE p.sale_id = s.id),
  s.sequence, s.upload_digest
FROM {_WANTED} JOIN pos_sales s ON s.id = k.id AND s.tenant_id = k.tenant"""  # noqa: S608

_LOAD_CARDS = f"""
SELECT k.place, c.currency, c.last_four, c.initial_minor, c.balance_minor,
  (extract(epoch FROM c.expires_at) * 1000)::bigint, c.disabled, c.sequence
FROM {_WANTED} JOIN gift_cards c ON c.id = k.id AND c.tenant_id = k.tenant"""  # noqa: S608

TABLES = Tables(
    reads={
        "register": Read(_LOAD_REGISTERS),
        "sale": Read(_LOAD_SALES),
        "gift_card": Read(_LOAD_CARDS),
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
