"""A sale that was made offline says how fast the clock of its register was."""

from __future__ import annotations

from alembic import op

revision = "0058_fast_clocks"
down_revision = "0057_rows_of_product_words"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE pos_sales ADD COLUMN clock_ahead_ms bigint NOT NULL DEFAULT 0")
    op.execute(
        "COMMENT ON COLUMN pos_sales.clock_ahead_ms IS"
        " 'How fast the clock of the register was by which it was sold'"
    )
