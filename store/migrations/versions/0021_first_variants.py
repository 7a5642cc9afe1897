"""Marks of products that are about to get their first variant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.kit.schema import wall

revision = "0021_first_variants"
down_revision = "0020_dead_refunds"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "first_variants",
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("writer_id", sa.Uuid, nullable=False, comment="One per request that writes"),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("product_id", "writer_id", name="pk_first_variants"),
    )
    wall(op, "first_variants", app="SELECT, INSERT, DELETE")
