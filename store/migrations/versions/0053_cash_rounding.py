"""Cash is rounded to what there are coins for: a business may say to what, a shift keeps to it, and
a sale says by how much it was rounded."""

from __future__ import annotations

from alembic import op

revision = "0053_cash_rounding"
down_revision = "0052_sales_of_a_customer"
branch_labels = None
depends_on = None
CONTRACTS = "no check is narrower than before: what an earlier build writes has no rounding"

_CHECKS = {
    "paid": "tendered_minor - change_minor = total_minor + tips_minor + rounding_minor",
    "refunded_within_paid": (
        "refunded_minor BETWEEN 0 AND total_minor + tips_minor + rounding_minor"
    ),
}


def upgrade() -> None:
    op.execute("ALTER TABLE businesses ADD COLUMN cash_rounding_minor bigint")
    op.execute(
        "COMMENT ON COLUMN businesses.cash_rounding_minor IS"
        " 'What cash is rounded to multiples of; 0: not at all; null: as is usual'"
    )
    op.execute("ALTER TABLE pos_shifts ADD COLUMN cash_step_minor bigint NOT NULL DEFAULT 1")
    op.execute(
        "COMMENT ON COLUMN pos_shifts.cash_step_minor IS 'What cash amounts are multiples of'"
    )
    op.execute("ALTER TABLE pos_sales ADD COLUMN rounding_minor bigint NOT NULL DEFAULT 0")
    op.execute(
        "COMMENT ON COLUMN pos_sales.rounding_minor IS"
        " 'How much more was paid than was due, for want of smaller coins'"
    )
    for name, check in _CHECKS.items():
        constraint = f"ck_pos_sales_{name}"
        op.execute(f"ALTER TABLE pos_sales DROP CONSTRAINT {constraint}")
        op.execute(f"ALTER TABLE pos_sales ADD CONSTRAINT {constraint} CHECK ({check}) NOT VALID")
    with op.get_context().autocommit_block():
        for name in _CHECKS:
            op.execute(f"ALTER TABLE pos_sales VALIDATE CONSTRAINT ck_pos_sales_{name}")
