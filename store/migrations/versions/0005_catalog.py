"""Products, and the search over them that row-level security would otherwise slow down."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from store.kit.schema import APP_ROLE, PUBLIC, TENANT, wall

revision = "0005_catalog"
down_revision = "0004_identity"
branch_labels = None
depends_on = None

_LIVE = sa.text("deleted_at IS NULL")

# `@@` is not leakproof, so under row-level security Postgres would run it after the policies, row
# by row, and never use the index. This function runs as the schema's owner, whose policy is
# `true`, repeats the scope itself, and gives ids alone: the caller still reads the rows under its
# own policies.
_SEARCH = f"""
CREATE FUNCTION search_products(query tsquery, vendor uuid, most integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT id FROM products
  WHERE search @@ query AND deleted_at IS NULL AND (vendor IS NULL OR tenant_id = vendor)
    AND (tenant_id = {TENANT} OR {PUBLIC})
  LIMIT most
$$
"""  # noqa: S608 - our own names

# Deleted products are hidden from everyone but their business, yet a platform admin's repeated
# command must still find whose they are.
_VENDOR = f"""
CREATE FUNCTION product_vendor(product uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT tenant_id FROM products WHERE id = product AND {PUBLIC}
$$
"""  # noqa: S608 - our own names


def upgrade() -> None:
    _products()
    _indexes()
    wall(op, "products", app="SELECT, INSERT, UPDATE")
    op.execute(
        f"CREATE POLICY products_public ON products FOR SELECT TO {APP_ROLE}"
        f" USING ({PUBLIC} AND deleted_at IS NULL)"
    )
    # For the two functions, which run as the owner.
    op.execute("CREATE POLICY products_owner ON products FOR SELECT TO CURRENT_USER USING (true)")
    op.execute(_SEARCH)
    op.execute(_VENDOR)
    for function in ("search_products(tsquery, uuid, integer)", "product_vendor(uuid)"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {APP_ROLE}")


def _products() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("price_e4", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("category", sa.String(100), nullable=True),
        sa.Column("images", JSONB(), nullable=False),
        sa.Column("sku", sa.String(64), nullable=False),
        sa.Column("barcode", sa.String(64), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "search",
            TSVECTOR(),
            sa.Computed(
                "to_tsvector('simple', name || ' ' || sku || ' ' || coalesce(category, ''))",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.CheckConstraint("price_minor >= 0", name="price_not_negative"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        sa.CheckConstraint("char_length(description) <= 10000", name="description_bounded"),
        sa.CheckConstraint("jsonb_array_length(images) <= 20", name="images_bounded"),
        sa.CheckConstraint("sku <> '' AND name <> ''", name="named"),
    )


def _indexes() -> None:
    for name, columns in {
        "ix_products_newest": ["created_at", "id"],
        "ix_products_tenant_newest": ["tenant_id", "created_at", "id"],
        "ix_products_category_newest": ["category", "created_at", "id"],
        "ix_products_price": ["price_e4", "id"],
        "ix_products_name": ["name", "id"],
    }.items():
        op.create_index(name, "products", columns, postgresql_where=_LIVE)
    op.create_index(
        "uq_products_sku", "products", ["sku", "tenant_id"], unique=True, postgresql_where=_LIVE
    )
    op.create_index(
        "uq_products_barcode",
        "products",
        ["barcode", "tenant_id"],
        unique=True,
        postgresql_where=_LIVE,
    )
    op.create_index(
        "ix_products_search",
        "products",
        ["search"],
        postgresql_using="gin",
        postgresql_where=_LIVE,
    )
