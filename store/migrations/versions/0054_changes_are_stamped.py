"""The moment at which a product, a sale, a transfer or a purchase order was changed last, which the
database writes by itself: whoever changes a row need not know of it, the build before neither."""

from __future__ import annotations

from alembic import op

revision = "0054_changes_are_stamped"
down_revision = "0053_cash_rounding"
branch_labels = None
depends_on = None

_STAMP = """
CREATE FUNCTION stamp_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed_at := clock_timestamp();
  RETURN NEW;
END $$
"""
# To those who keep a copy a variant is part of its product.
_STAMP_PRODUCT = """
CREATE FUNCTION stamp_product() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE products SET changed_at = clock_timestamp() WHERE id = NEW.product_id;
  RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute(_STAMP)
    op.execute(_STAMP_PRODUCT)
    for table in ("products", "pos_sales", "stock_transfers", "purchase_orders"):
        # One moment for all rows that are there, which costs no writing; each new one has its own.
        op.execute(f"ALTER TABLE {table} ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now()")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN changed_at SET DEFAULT clock_timestamp()")
        op.execute(
            f"CREATE TRIGGER stamp_change BEFORE UPDATE ON {table} FOR EACH ROW"
            " WHEN (NEW.changed_at = OLD.changed_at) EXECUTE FUNCTION stamp_change()"
        )
    op.execute(
        "CREATE TRIGGER stamp_product AFTER INSERT OR UPDATE ON product_variants FOR EACH ROW"
        " EXECUTE FUNCTION stamp_product()"
    )
