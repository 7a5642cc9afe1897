"""What keeps codes and counts beside the catalog, searches it, and prices a basket from it."""

from __future__ import annotations

from alembic import op

from store.kit.schema import APP_ROLE, PUBLIC, TENANT, function_for

revision = "0038_catalog_functions"
down_revision = "0037_catalog"
branch_labels = None
depends_on = None

# See 0037.
_FOR_ALL = f"coalesce({PUBLIC}, false)"

# `@@` is not leakproof, so under row-level security Postgres would run it after the policies, row
# by row, and never use the index. This function runs as the schema's owner, whose policy is
# `true`, repeats the scope itself, and gives ids alone: the caller still reads the rows under its
# own policies. A variant is found by its SKU, barcode and option values; what is found is its
# product.
#
# Each half ends at `most` itself, for a union reads both to their ends; and it is planned for the
# words and the vendor at hand: what many have is walked, what few have is looked up, and a vendor
# with few products is not asked for by the words of all others.
_SEARCH = f"""
CREATE FUNCTION search_products(query tsquery, vendor uuid, most integer)
RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
  (SELECT id FROM products
   WHERE search @@ query AND deleted_at IS NULL
     AND (vendor IS NULL OR tenant_id = vendor) AND (tenant_id = {TENANT} OR {_FOR_ALL})
   LIMIT most)
  UNION
  (SELECT product_id FROM product_variants
   WHERE search @@ query AND deleted_at IS NULL
     AND (vendor IS NULL OR tenant_id = vendor) AND (tenant_id = {TENANT} OR {_FOR_ALL})
   LIMIT most)
  LIMIT most
$$
"""  # noqa: S608 - our own names

# Deleted products are hidden from everyone but their business, yet a platform admin's repeated
# command must still find whose they are.
_VENDOR = f"""
CREATE FUNCTION product_vendor(product uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT tenant_id FROM products WHERE id = product AND {PUBLIC}
  UNION ALL SELECT tenant_id FROM product_variants WHERE id = product AND {PUBLIC}
$$
"""  # noqa: S608 - our own names

_KEEP_CODES = """
CREATE FUNCTION keep_item_codes() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    DELETE FROM item_codes WHERE item_id = OLD.id;
  END IF;
  IF NEW.deleted_at IS NULL THEN
    INSERT INTO item_codes (item_id, kind, tenant_id, code)
    SELECT NEW.id, kind, NEW.tenant_id, code
    FROM (VALUES ('sku', NEW.sku), ('barcode', NEW.barcode)) AS given(kind, code)
    WHERE code IS NOT NULL;
  END IF;
  RETURN NULL;
END $$
"""

_COUNTED = "category IS NOT NULL AND deleted_at IS NULL"

# What a statement made more or fewer, category by category.
_KEEP = """
CREATE FUNCTION keep_category_counts() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE categories c SET products = c.products + found.size FROM (
    SELECT tenant_id, category, sum(n) AS size FROM (%s) AS changed(tenant_id, category, n)
    GROUP BY 1, 2 HAVING sum(n) <> 0
  ) AS found WHERE c.tenant_id = found.tenant_id AND c.path = found.category;
  RETURN NULL;
END $$"""
_MORE = f"SELECT tenant_id, category, 1 FROM after_it WHERE {_COUNTED}"  # noqa: S608
_FEWER = f"SELECT tenant_id, category, -1 FROM before_it WHERE {_COUNTED}"  # noqa: S608
_OF = {
    "INSERT": ("NEW TABLE AS after_it", _MORE),
    "UPDATE": ("OLD TABLE AS before_it NEW TABLE AS after_it", f"{_MORE} UNION ALL {_FEWER}"),
    "DELETE": ("OLD TABLE AS before_it", _FEWER),
}

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
    function_for(op, APP_ROLE, "search_products(tsquery, uuid, integer)", _SEARCH)
    function_for(op, APP_ROLE, "product_vendor(uuid)", _VENDOR)
    function_for(op, APP_ROLE, _SIGNATURE, _TILL_PRICES)
    _keep_codes()
    _keep_counts()


def _keep_codes() -> None:
    op.execute(_KEEP_CODES)
    columns = ("sku", "barcode", "deleted_at")
    changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
    for table in ("products", "product_variants"):
        op.execute(
            f"CREATE TRIGGER keep_codes_of_new AFTER INSERT ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION keep_item_codes()"
        )
        op.execute(
            f"CREATE TRIGGER keep_codes_of_changed AFTER UPDATE ON {table} FOR EACH ROW"
            f" WHEN ({changed}) EXECUTE FUNCTION keep_item_codes()"
        )


def _keep_counts() -> None:
    for event, (tables, changed) in _OF.items():
        name = f"keep_category_counts_of_{event.lower()}"
        op.execute(_KEEP.replace("keep_category_counts", name) % changed)
        # A renaming writes the products' key anew from inside the database, and the category
        # takes its count along.
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON products REFERENCING {tables}"
            f" FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION {name}()"
        )
