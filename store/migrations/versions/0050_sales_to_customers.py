"""Sales say why a customer paid no tax, and parked ones whose they are."""

from __future__ import annotations

from alembic import op

revision = "0050_sales_to_customers"
down_revision = "0049_customers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE pos_sales ADD COLUMN tax_exemption text")
    op.execute(
        "COMMENT ON COLUMN pos_sales.tax_exemption IS"
        " 'Why the customer paid no tax; null: it was due'"
    )
    op.execute("ALTER TABLE pos_parked_sales ADD COLUMN customer_id uuid")
