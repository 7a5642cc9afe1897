"""Variants, bundles, prices in further currencies, costs and the tree of categories."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from store.kit.schema import APP_ROLE, PUBLIC, TENANT, wall

revision = "0008_catalog_items"
down_revision = "0007_stock_per_location"
branch_labels = None
depends_on = None

_LIVE = sa.text("deleted_at IS NULL")
_WRITTEN = "SELECT, INSERT, UPDATE"

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

# See 0005 for why these are functions. A variant is found by its SKU, barcode and option values;
# what is found is its product.
_SEARCH = f"""
CREATE OR REPLACE FUNCTION search_products(query tsquery, vendor uuid, most integer)
RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT id FROM (
    SELECT id, tenant_id FROM products WHERE search @@ query AND deleted_at IS NULL
    UNION
    SELECT product_id, tenant_id FROM product_variants WHERE search @@ query AND deleted_at IS NULL
  ) AS found
  WHERE (vendor IS NULL OR tenant_id = vendor) AND (tenant_id = {TENANT} OR {PUBLIC})
  LIMIT most
$$
"""  # noqa: S608 - our own names

_VENDOR = f"""
CREATE OR REPLACE FUNCTION product_vendor(product uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT tenant_id FROM products WHERE id = product AND {PUBLIC}
  UNION ALL SELECT tenant_id FROM product_variants WHERE id = product AND {PUBLIC}
$$
"""  # noqa: S608 - our own names

# What was free text becomes a category at the top.
_CATEGORIES_IN_USE = """
INSERT INTO categories (id, tenant_id, name, slug, path, position, created_at, updated_at)
SELECT gen_random_uuid(), tenant_id, category,
  CASE WHEN n = 1 THEN slug ELSE slug || '-' || n END, category, 0, now(), now()
FROM (
  SELECT tenant_id, category, slug,
    row_number() OVER (PARTITION BY tenant_id, slug ORDER BY category) AS n
  FROM (
    SELECT DISTINCT tenant_id, category, coalesce(nullif(trim(BOTH '-' FROM
      lower(regexp_replace(category, '[^[:alnum:]]+', '-', 'g'))), ''), 'category') AS slug
    FROM products WHERE category IS NOT NULL) AS used) AS numbered
"""


def upgrade() -> None:
    _items()
    _variants()
    _categories()
    _columns()
    _bundles()
    _fill()
    _walls()
    op.execute(_SEARCH)
    op.execute(_VENDOR)


def _items() -> None:
    op.create_table(
        "item_codes",
        sa.Column("item_id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.CheckConstraint("kind IN ('sku', 'barcode')", name="kind_known"),
    )
    for kind in ("sku", "barcode"):
        op.create_index(
            f"uq_item_codes_{kind}",
            "item_codes",
            ["code", "tenant_id"],
            unique=True,
            postgresql_where=sa.text(f"kind = '{kind}'"),
        )
    op.create_table(
        "item_prices",
        sa.Column("item_id", sa.Uuid(), primary_key=True),
        sa.Column("currency", sa.CHAR(3), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("price_e4", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("price_minor >= 0", name="price_not_negative"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    )
    op.create_table(
        "item_costs",
        sa.Column("item_id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False),
        sa.Column("cost_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("cost_minor >= 0", name="cost_not_negative"),
    )


def _variants() -> None:
    searched = "to_tsvector('simple', sku) || to_tsvector('simple', options)"
    op.create_table(
        "product_variants",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False),
        sa.Column("product_id", sa.Uuid(), sa.ForeignKey("products.id"), nullable=False),
        sa.Column("options", JSONB(), nullable=False),
        sa.Column("sku", sa.String(64), nullable=False),
        sa.Column("barcode", sa.String(64)),
        sa.Column("price_minor", sa.BigInteger(), comment="null: the product's price"),
        sa.Column("tax_class_id", sa.Uuid(), comment="null: the product's class"),
        sa.Column("images", JSONB(), nullable=False, server_default="[]"),
        sa.Column("image_alts", JSONB(), nullable=False, server_default="{}"),
        sa.Column("position", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("search", TSVECTOR(), sa.Computed(searched, persisted=True), nullable=False),
        sa.CheckConstraint("price_minor >= 0", name="price_not_negative"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "tax_class_id"], ["tax_classes.tenant_id", "tax_classes.id"]
        ),
        sa.CheckConstraint("jsonb_typeof(options) = 'object'", name="options_object"),
        sa.CheckConstraint("sku <> ''", name="named"),
    )
    for name, columns in {
        "ix_product_variants_product": ["product_id"],
        "ix_product_variants_sku": ["sku", "tenant_id"],
        "ix_product_variants_barcode": ["barcode", "tenant_id"],
    }.items():
        op.create_index(name, "product_variants", columns, postgresql_where=_LIVE)
    op.create_index(
        "uq_product_variants_options",
        "product_variants",
        ["product_id", "options"],
        unique=True,
        postgresql_where=_LIVE,
    )
    op.create_index(
        "ix_product_variants_search",
        "product_variants",
        ["search"],
        postgresql_using="gin",
        postgresql_where=_LIVE,
    )


def _categories() -> None:
    op.create_table(
        "categories",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False),
        sa.Column("parent_id", sa.Uuid()),
        sa.Column("parent_depth", sa.SmallInteger()),
        sa.Column(
            "depth",
            sa.SmallInteger(),
            sa.Computed("coalesce(parent_depth, 0::smallint) + 1::smallint", persisted=True),
            nullable=False,
        ),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("slug", sa.String(120), nullable=False),
        sa.Column("path", sa.String(512, collation="C"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("tenant_id", "path", name="uq_categories_path"),
        sa.UniqueConstraint("tenant_id", "slug", name="uq_categories_slug"),
        sa.UniqueConstraint("tenant_id", "id", "depth", name="uq_categories_depth"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "parent_id", "parent_depth"],
            ["categories.tenant_id", "categories.id", "categories.depth"],
            name="fk_categories_parent",
            onupdate="CASCADE",
        ),
        sa.CheckConstraint("depth <= 5", name="depth_bounded"),
        sa.CheckConstraint("(parent_id IS NULL) = (parent_depth IS NULL)", name="parent_whole"),
        sa.CheckConstraint("name <> '' AND slug <> ''", name="named"),
    )
    op.create_index("ix_categories_path", "categories", ["path"])
    op.create_index(
        "ix_categories_parent", "categories", ["tenant_id", "parent_id", "parent_depth"]
    )


def _columns() -> None:
    for column in (
        sa.Column("image_alts", JSONB(), nullable=False, server_default="{}"),
        sa.Column("kind", sa.Text(), nullable=False, server_default="simple"),
        sa.Column("tax_class_id", sa.Uuid()),
        sa.Column("backorder_limit", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("products", column)
    op.create_foreign_key(
        "fk_products_tenant_id_tax_class_id_tax_classes",
        "products",
        "tax_classes",
        ["tenant_id", "tax_class_id"],
        ["tenant_id", "id"],
    )
    op.create_check_constraint("kind_known", "products", "kind IN ('simple', 'bundle')")
    op.create_check_constraint("backorder_limit_not_negative", "products", "backorder_limit >= 0")
    # The type of a column that another is computed from cannot be changed.
    op.drop_column("products", "search")
    op.alter_column("products", "category", type_=sa.String(512))
    searched = "to_tsvector('simple', name || ' ' || sku || ' ' || coalesce(category, ''))"
    op.add_column(
        "products",
        sa.Column("search", TSVECTOR(), sa.Computed(searched, persisted=True), nullable=False),
    )
    op.create_index(
        "ix_products_search",
        "products",
        ["search"],
        postgresql_using="gin",
        postgresql_where=_LIVE,
    )
    op.create_index("ix_products_tenant_category", "products", ["tenant_id", "category"])


def _bundles() -> None:
    op.create_table(
        "bundle_components",
        sa.Column("bundle_id", sa.Uuid(), sa.ForeignKey("products.id"), primary_key=True),
        sa.Column("component_id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("quantity BETWEEN 1 AND 1000", name="quantity_within_bounds"),
        sa.CheckConstraint("bundle_id <> component_id", name="not_itself"),
    )
    op.create_index("ix_bundle_components_component", "bundle_components", ["component_id"])


def _fill() -> None:
    """Codes and categories of the products that are there already."""
    op.execute("ALTER TABLE products NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "UPDATE products SET category = replace(category, '>', '-') WHERE category LIKE '%>%'"
    )
    op.execute("ALTER TABLE products FORCE ROW LEVEL SECURITY")
    op.execute(_CATEGORIES_IN_USE)
    op.create_foreign_key(
        "fk_products_category",
        "products",
        "categories",
        ["tenant_id", "category"],
        ["tenant_id", "path"],
        onupdate="CASCADE",
    )
    for kind in ("sku", "barcode"):
        op.execute(
            "INSERT INTO item_codes (item_id, kind, tenant_id, code)"  # noqa: S608 - our own names
            f" SELECT id, '{kind}', tenant_id, {kind} FROM products"
            f" WHERE deleted_at IS NULL AND {kind} IS NOT NULL"
        )
    op.execute(_KEEP_CODES)
    for table in ("products", "product_variants"):
        changed = "OLD.{0} IS DISTINCT FROM NEW.{0}"
        columns = ("sku", "barcode", "deleted_at")
        op.execute(
            f"CREATE TRIGGER keep_codes_of_new AFTER INSERT ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION keep_item_codes()"
        )
        op.execute(
            f"CREATE TRIGGER keep_codes_of_changed AFTER UPDATE ON {table} FOR EACH ROW"
            f" WHEN ({' OR '.join(changed.format(column) for column in columns)})"
            " EXECUTE FUNCTION keep_item_codes()"
        )


def _walls() -> None:
    wall(op, "item_codes", app="SELECT, INSERT, DELETE")
    wall(op, "item_costs", app="SELECT, INSERT, DELETE")
    wall(op, "item_prices", app="SELECT, INSERT, DELETE")
    wall(op, "bundle_components", app="SELECT, INSERT, DELETE")
    wall(op, "product_variants", app=_WRITTEN)
    wall(op, "categories")
    for table, shown in {
        "item_prices": PUBLIC,
        "bundle_components": PUBLIC,
        "categories": PUBLIC,
        "product_variants": f"{PUBLIC} AND deleted_at IS NULL",
    }.items():
        op.execute(
            f"CREATE POLICY {table}_public ON {table} FOR SELECT TO {APP_ROLE} USING ({shown})"
        )
    # For the functions, which run as the owner.
    op.execute(
        "CREATE POLICY product_variants_owner ON product_variants"
        " FOR SELECT TO CURRENT_USER USING (true)"
    )
