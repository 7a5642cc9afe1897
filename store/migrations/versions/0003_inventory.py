"""Stock levels, reservations and the ledger of movements."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from store.kit.schema import APP_ROLE, PUBLIC, wall

revision = "0003_inventory"
down_revision = "0002_runtime"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _levels()
    _reservations()
    _movements()
    for table in ("stock_levels", "reservations", "stock_movements"):
        wall(op, table, app="SELECT")
    # What GET /api/inventory/{productId} tells everyone may also be listed for everyone.
    op.execute(
        f"CREATE POLICY stock_levels_public ON stock_levels FOR SELECT TO {APP_ROLE}"
        f" USING ({PUBLIC} AND NOT discontinued)"
    )


def _levels() -> None:
    op.create_table(
        "stock_levels",
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("on_hand", sa.BigInteger, nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("low_stock_threshold", sa.Integer, nullable=False),
        sa.Column("low", sa.Boolean, nullable=False, comment="available < low_stock_threshold"),
        sa.Column("discontinued", sa.Boolean, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("product_id", name="pk_stock_levels"),
        sa.CheckConstraint("on_hand >= 0", name="on_hand_not_negative"),
        sa.CheckConstraint(
            "reserved >= 0 AND reserved <= on_hand",
            name="reserved_within_on_hand",
        ),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(
        "ix_stock_levels_low",
        "stock_levels",
        ["tenant_id"],
        postgresql_where=sa.text("low AND NOT discontinued"),
    )


def _reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("product_ids", ARRAY(sa.Uuid), nullable=False),
        sa.Column("quantities", ARRAY(sa.Integer), nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reservations"),
        sa.CheckConstraint(
            "status IN ('open', 'confirmed', 'released', 'expired')",
            name="status_known",
        ),
        sa.CheckConstraint(
            "cardinality(product_ids) = cardinality(quantities)",
            name="lines_paired",
        ),
        sa.CheckConstraint("0 < ALL (quantities)", name="quantities_positive"),
    )
    op.create_index(
        "ix_reservations_due",
        "reservations",
        ["shard", "expires_at"],
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "ix_reservations_open_holds",
        "reservations",
        ["tenant_id", "created_by", "id"],
        postgresql_where=sa.text("status = 'open'"),
    )


def _movements() -> None:
    op.create_table(
        "stock_movements",
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("on_hand_delta", sa.BigInteger, nullable=False),
        sa.Column("reserved_delta", sa.BigInteger, nullable=False),
        sa.Column("on_hand_after", sa.BigInteger, nullable=False),
        sa.Column("reserved_after", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("reference", sa.Text),
        sa.Column("reservation_id", sa.Uuid),
        sa.Column("command_id", sa.Uuid, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("product_id", "sequence", name="pk_stock_movements"),
    )
