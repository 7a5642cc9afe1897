"""Sales of a customer, latest first."""

from __future__ import annotations

from alembic import op

from store.kit.schema import index_concurrently

revision = "0052_sales_of_a_customer"
down_revision = "0051_customers_are_known"
branch_labels = None
depends_on = None


def upgrade() -> None:
    index_concurrently(
        op,
        "ix_pos_sales_customer",
        "ON pos_sales (tenant_id, customer_id, created_at, id) WHERE customer_id IS NOT NULL",
    )
