"""Goods by measure: quantities in steps of 10^-decimals of a unit, and services."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, SmallInteger, String, Text, text

revision = "0059_measures"
down_revision = "0058_fast_clocks"
branch_labels = None
depends_on = None
CONTRACTS = "nothing is released yet; two checks are replaced by wider ones"

# As in 0038, with decimals and unit of what is not sold by the piece: what is is told as before,
# for the build before reads rows of that length alone.
_TILL_PRICES = """
CREATE OR REPLACE FUNCTION till_prices(
  tenant uuid, place uuid, ids uuid[], skus text[], barcodes text[],
  OUT terms json, OUT rates json, OUT items json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
  paid_in bpchar;
BEGIN
  PERFORM set_config('transaction_read_only', 'on', true),
    set_config('holdfast.tenant_id', tenant::text, true),
    set_config('holdfast.user_id', '', true), set_config('holdfast.audience', '', true);

  SELECT l.currency, json_build_array(b.name, l.name, l.currency, l.time_zone,
    b.prices_include_tax, l.receipt_header, l.receipt_footer,
    (SELECT id FROM tax_classes WHERE is_default AND deleted_at IS NULL))
  INTO paid_in, terms
  FROM locations l JOIN businesses b ON b.id = l.tenant_id
  WHERE l.id = place AND l.deleted_at IS NULL;
  IF terms IS NULL THEN
    RETURN;
  END IF;

  SELECT json_agg(json_build_array(r.tax_class_id, r.name, r.rate_ppm)) INTO rates FROM (
    SELECT DISTINCT ON (tax_class_id) tax_class_id, name, rate_ppm FROM tax_rates
    WHERE deleted_at IS NULL AND valid_from <= now()
      AND (location_id IS NULL OR location_id = place)
    ORDER BY tax_class_id, location_id IS NULL, valid_from DESC) AS r;

  WITH wanted AS MATERIALIZED (
    SELECT unnest(ids) AS id
    UNION SELECT item_id FROM item_codes WHERE kind = 'sku' AND code = ANY(skus)
    UNION SELECT item_id FROM item_codes WHERE kind = 'barcode' AND code = ANY(barcodes)),
  found AS (
    SELECT p.id AS item_id, p.id AS product_id, NULL::uuid AS variant_id, p.name, p.sku,
      p.barcode, coalesce(c.price_minor, p.price_minor) AS price_minor,
      CASE WHEN c.item_id IS NULL THEN p.currency ELSE c.currency END AS currency,
      p.tax_class_id,
      CASE WHEN EXISTS (SELECT FROM product_variants AS own
        WHERE own.product_id = p.id AND own.deleted_at IS NULL) THEN 'parent'
        ELSE p.kind END AS kind,
      NULL::jsonb AS options, p.quantity_decimals, p.unit
    FROM wanted w JOIN products p ON p.id = w.id
    LEFT JOIN item_prices c ON c.item_id = p.id AND c.currency = paid_in
    WHERE p.deleted_at IS NULL
    UNION ALL
    SELECT v.id, v.product_id, v.id, p.name, v.sku, v.barcode,
      coalesce(c.price_minor, v.price_minor, d.price_minor, p.price_minor),
      CASE WHEN c.item_id IS NOT NULL OR (v.price_minor IS NULL AND d.item_id IS NOT NULL)
        THEN paid_in ELSE p.currency END,
      coalesce(v.tax_class_id, p.tax_class_id), 'variant', v.options,
      p.quantity_decimals, p.unit
    FROM wanted w JOIN product_variants v ON v.id = w.id JOIN products p ON p.id = v.product_id
    LEFT JOIN item_prices c ON c.item_id = v.id AND c.currency = paid_in
    LEFT JOIN item_prices d ON d.item_id = p.id AND d.currency = paid_in
    WHERE v.deleted_at IS NULL AND p.deleted_at IS NULL)
  SELECT json_agg(CASE WHEN f.quantity_decimals = 0 AND f.unit = 'piece'
    THEN json_build_array(f.item_id, f.product_id, f.variant_id, f.name, f.sku,
      f.barcode, f.price_minor, f.currency, f.tax_class_id, f.kind, f.options, f.parts)
    ELSE json_build_array(f.item_id, f.product_id, f.variant_id, f.name, f.sku,
      f.barcode, f.price_minor, f.currency, f.tax_class_id, f.kind, f.options, f.parts,
      f.quantity_decimals, f.unit) END)
  INTO items
  FROM (SELECT found.*, CASE WHEN kind = 'bundle' THEN (
      SELECT json_agg(CASE WHEN q.quantity_decimals = 0
        THEN json_build_array(c.component_id, c.quantity)
        ELSE json_build_array(c.component_id, c.quantity, q.quantity_decimals) END
        ORDER BY c.position)
      FROM bundle_components c
      LEFT JOIN product_variants w ON w.id = c.component_id
      JOIN products q ON q.id = coalesce(w.product_id, c.component_id)
      WHERE c.bundle_id = found.item_id) END AS parts FROM found) AS f;
END $$
"""

_CHECKS = {
    "products": {
        "kind_known": "kind IN ('simple', 'bundle', 'service')",
        "quantity_decimals_known": "quantity_decimals BETWEEN 0 AND 3",
    },
    "bundle_components": {"quantity_within_bounds": "quantity BETWEEN 1 AND 1000000"},
}


def upgrade() -> None:
    tables = (*_CHECKS, "stock_items", "pos_sale_lines", "pos_return_lines")
    op.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
    op.add_column("products", _decimals())
    op.add_column("products", Column("unit", String(10), nullable=False, server_default="piece"))
    comment = "Quantities are steps of 10^-these units; null: of pieces, or not known yet"
    op.add_column("stock_items", Column("quantity_decimals", SmallInteger, comment=comment))
    for table in ("pos_sale_lines", "pos_return_lines"):
        op.add_column(table, _decimals())
        op.add_column(table, Column("unit", Text, nullable=False, server_default="piece"))
    for table, checks in _CHECKS.items():
        for name, check in checks.items():
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_{name}")
            # Rows that are there keep to the narrower one.
            op.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({check}) NOT VALID"
            )
    op.execute(_TILL_PRICES)


def _decimals() -> Column[int]:
    return Column("quantity_decimals", SmallInteger, nullable=False, server_default=text("0"))
