"""A sale names a customer that there is. Earlier ones may name what was never anywhere: they stay
as they are, so that the constraint is not validated."""

from __future__ import annotations

from alembic import op

revision = "0051_customers_are_known"
down_revision = "0050_sales_to_customers"
branch_labels = None
depends_on = None
CONTRACTS = "nothing is released yet, and before 0049 there was no customer to name"


def upgrade() -> None:
    for table in ("pos_sales", "pos_parked_sales"):
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT fk_{table}_tenant_id_customers"
            " FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) NOT VALID"
        )
