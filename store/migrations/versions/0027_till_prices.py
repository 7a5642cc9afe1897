"""What a till needs to price a basket, in one round trip."""

from __future__ import annotations

from alembic import op

from store.kit.schema import APP_ROLE

revision = "0027_till_prices"
down_revision = "0026_own_lists"
branch_labels = None
depends_on = None

_SIGNATURE = "till_prices(uuid, uuid, uuid[], text[], text[])"

# It runs with the rights of who calls it, and sets the scope that row-level security goes by, for
# the transaction that the call is; so that neither costs a round trip. The queries are those of
# `business.till_terms`, `taxes.rates_at` and `catalog_bundles.sale_items`, which stay for who is
# in a transaction already; a test holds them to the same answers.
_TILL_PRICES = """
CREATE FUNCTION till_prices(
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
      NULL::jsonb AS options
    FROM wanted w JOIN products p ON p.id = w.id
    LEFT JOIN item_prices c ON c.item_id = p.id AND c.currency = paid_in
    WHERE p.deleted_at IS NULL
    UNION ALL
    SELECT v.id, v.product_id, v.id, p.name, v.sku, v.barcode,
      coalesce(c.price_minor, v.price_minor, d.price_minor, p.price_minor),
      CASE WHEN c.item_id IS NOT NULL OR (v.price_minor IS NULL AND d.item_id IS NOT NULL)
        THEN paid_in ELSE p.currency END,
      coalesce(v.tax_class_id, p.tax_class_id), 'variant', v.options
    FROM wanted w JOIN product_variants v ON v.id = w.id JOIN products p ON p.id = v.product_id
    LEFT JOIN item_prices c ON c.item_id = v.id AND c.currency = paid_in
    LEFT JOIN item_prices d ON d.item_id = p.id AND d.currency = paid_in
    WHERE v.deleted_at IS NULL AND p.deleted_at IS NULL)
  SELECT json_agg(json_build_array(f.item_id, f.product_id, f.variant_id, f.name, f.sku,
    f.barcode, f.price_minor, f.currency, f.tax_class_id, f.kind, f.options,
    CASE WHEN f.kind = 'bundle' THEN (
      SELECT json_agg(json_build_array(component_id, quantity) ORDER BY position)
      FROM bundle_components WHERE bundle_id = f.item_id) END))
  INTO items FROM found f;
END $$
"""


def upgrade() -> None:
    op.execute(_TILL_PRICES)
    op.execute(f"REVOKE ALL ON FUNCTION {_SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {_SIGNATURE} TO {APP_ROLE}")


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {_SIGNATURE}")
