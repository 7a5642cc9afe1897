"""Products that have variants take in and promise nothing themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014_parents"
down_revision = "0013_purchasing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "stock_items",
        sa.Column(
            "parent",
            sa.Boolean,
            nullable=False,
            server_default=sa.text("false"),
            comment="Has variants: takes in and promises nothing itself",
        ),
    )
