"""Transfers that come in parts: how much of each line has come."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, text
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0046_partial_transfers"
down_revision = "0045_schema_is_known"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column: Column[list[int]] = Column(
        "received",
        ARRAY(BigInteger),
        nullable=False,
        server_default=text("'{}'"),
        comment="Of each line; empty: all, or nothing yet",
    )
    op.add_column("stock_transfers", column)
