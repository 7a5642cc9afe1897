"""Transfers of stock between locations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from store.kit.schema import wall

revision = "0011_stock_transfers"
down_revision = "0010_card_payments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stock_transfers",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("from_location_id", sa.Uuid, nullable=False),
        sa.Column("to_location_id", sa.Uuid, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("product_ids", ARRAY(sa.Uuid), nullable=False),
        sa.Column("quantities", ARRAY(sa.Integer), nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), comment="Received or cancelled"),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stock_transfers"),
        sa.CheckConstraint("status IN ('in_transit', 'received', 'cancelled')", "status_known"),
        sa.CheckConstraint("cardinality(product_ids) = cardinality(quantities)", "lines_paired"),
        sa.CheckConstraint("0 < ALL (quantities)", "quantities_positive"),
        sa.CheckConstraint("from_location_id <> to_location_id", "not_to_itself"),
    )
    op.create_index("ix_stock_transfers_tenant_id_id", "stock_transfers", ["tenant_id", "id"])
    wall(op, "stock_transfers", app="SELECT")
