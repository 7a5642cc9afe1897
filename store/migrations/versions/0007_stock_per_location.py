"""Stock per item and location; what holds for an item everywhere; dated movements."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.kit.schema import APP_ROLE, PUBLIC, wall

revision = "0007_stock_per_location"
down_revision = "0006_business"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _items()
    _levels()
    _movements()
    _reservations()


def _items() -> None:
    op.create_table(
        "stock_items",
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("discontinued", sa.Boolean, nullable=False),
        sa.Column("backorder_limit", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("product_id", name="pk_stock_items"),
        sa.CheckConstraint("backorder_limit >= 0", name="backorder_limit_not_negative"),
    )
    wall(op, "stock_items", app="SELECT")
    op.execute(
        f"CREATE POLICY stock_items_public ON stock_items FOR SELECT TO {APP_ROLE} USING ({PUBLIC})"
    )
    op.execute(
        "INSERT INTO stock_items SELECT product_id, tenant_id, discontinued, 0, 1, updated_at"
        " FROM stock_levels"
    )


def _levels() -> None:
    op.execute("DROP POLICY stock_levels_public ON stock_levels")
    op.drop_index("ix_stock_levels_low", "stock_levels")
    op.drop_constraint("ck_stock_levels_on_hand_not_negative", "stock_levels")
    op.drop_constraint("ck_stock_levels_reserved_within_on_hand", "stock_levels")
    op.drop_column("stock_levels", "discontinued")
    _add_location("stock_levels")
    zero = sa.text("0")
    for name, comment in (
        ("incoming", "Ordered or on its way, and not there yet"),
        ("floor", "Least that may be available: -backorder_limit, or where a count left it"),
    ):
        op.add_column(
            "stock_levels",
            sa.Column(name, sa.BigInteger, nullable=False, server_default=zero, comment=comment),
        )
        op.alter_column("stock_levels", name, server_default=None)
    op.add_column(
        "stock_levels",
        sa.Column("counted_at", sa.DateTime(timezone=True), comment="Moment of the latest count"),
    )
    for name, rule in (
        ("reserved_not_negative", "reserved >= 0"),
        ("incoming_not_negative", "incoming >= 0"),
        ("available_above_floor", "on_hand - reserved >= floor"),
    ):
        op.create_check_constraint(op.f(f"ck_stock_levels_{name}"), "stock_levels", rule)
    op.drop_constraint("pk_stock_levels", "stock_levels")
    op.create_primary_key("pk_stock_levels", "stock_levels", ["product_id", "location_id"])
    op.create_index(
        "ix_stock_levels_low",
        "stock_levels",
        ["tenant_id", "location_id"],
        postgresql_where=sa.text("low"),
    )
    # What GET /api/inventory/{productId} tells everyone may also be listed for everyone.
    gone = (
        "EXISTS (SELECT FROM stock_items i"
        " WHERE i.product_id = stock_levels.product_id AND i.discontinued)"
    )
    op.execute(
        f"CREATE POLICY stock_levels_public ON stock_levels FOR SELECT TO {APP_ROLE}"
        f" USING ({PUBLIC} AND NOT {gone})"
    )


def _movements() -> None:
    _add_location("stock_movements")
    for name in ("incoming_delta", "incoming_after"):
        op.add_column(
            "stock_movements",
            sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0")),
        )
        op.alter_column("stock_movements", name, server_default=None)
    op.add_column("stock_movements", sa.Column("recorded_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE stock_movements SET recorded_at = occurred_at")
    op.alter_column("stock_movements", "recorded_at", nullable=False)
    op.drop_constraint("pk_stock_movements", "stock_movements")
    op.create_primary_key(
        "pk_stock_movements", "stock_movements", ["product_id", "location_id", "sequence"]
    )


def _reservations() -> None:
    _add_location("reservations")


def _add_location(table: str) -> None:
    """What was there is at the main location, whose id is the business's."""
    op.add_column(table, sa.Column("location_id", sa.Uuid))
    op.execute(f"UPDATE {table} SET location_id = tenant_id")  # noqa: S608
    op.alter_column(table, "location_id", nullable=False)
