"""Suppliers, what they sell, and purchase orders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from store.kit.schema import moment, wall

revision = "0013_purchasing"
down_revision = "0012_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _suppliers()
    _purchase_orders()
    wall(op, "suppliers", app="SELECT, INSERT, UPDATE")
    wall(op, "supplier_items", app="SELECT, INSERT, DELETE")
    wall(op, "purchase_orders", app="SELECT")


def _suppliers() -> None:
    op.create_table(
        "suppliers",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("contact_name", sa.String(255)),
        sa.Column("email", sa.String(254)),
        sa.Column("phone", sa.String(50)),
        sa.Column("lead_time_days", sa.Integer(), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("notes", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
        moment("created_at"),
        moment("updated_at"),
        moment("deleted_at", nullable=True),
        sa.UniqueConstraint("tenant_id", "id"),
        sa.CheckConstraint("lead_time_days BETWEEN 0 AND 3650", name="lead_time_bounded"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        sa.CheckConstraint("name <> ''", name="named"),
    )
    op.create_index(
        "uq_suppliers_name",
        "suppliers",
        ["tenant_id", sa.text("lower(name)")],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "supplier_items",
        sa.Column("supplier_id", sa.Uuid(), primary_key=True),
        sa.Column("item_id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_sku", sa.String(64)),
        sa.Column("cost_minor", sa.BigInteger()),
        sa.Column("lead_time_days", sa.Integer(), comment="null: the supplier's"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "supplier_id"], ["suppliers.tenant_id", "suppliers.id"]
        ),
        sa.CheckConstraint("cost_minor >= 0", name="cost_not_negative"),
        sa.CheckConstraint("lead_time_days BETWEEN 0 AND 3650", name="lead_time_bounded"),
    )
    op.create_index("ix_supplier_items_item", "supplier_items", ["item_id"])


def _purchase_orders() -> None:
    op.create_table(
        "purchase_orders",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("reference", sa.Text()),
        moment("expected_at", nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("lines", JSONB(), nullable=False),
        sa.Column("item_ids", ARRAY(sa.Uuid()), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        moment("created_at"),
        moment("ordered_at", nullable=True),
        moment("updated_at"),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft', 'ordered', 'partly_received', 'received', 'cancelled')",
            name="status_known",
        ),
        sa.CheckConstraint(
            "jsonb_array_length(lines) = cardinality(item_ids)", name="lines_paired"
        ),
    )
    op.create_index("ix_purchase_orders_newest", "purchase_orders", ["tenant_id", "id"])
