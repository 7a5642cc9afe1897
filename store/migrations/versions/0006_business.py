"""What a business says about itself, where it is, and how its goods are taxed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from store.kit.schema import APP_ROLE, USER, wall

revision = "0006_business"
down_revision = "0005_catalog"
branch_labels = None
depends_on = None

_LIVE = sa.text("deleted_at IS NULL")

# Nobody may take a business's rows away; what is deleted is marked so.
_RIGHTS = "SELECT, INSERT, UPDATE"


_OWN = f"""
CREATE POLICY businesses_own ON businesses FOR SELECT TO {APP_ROLE} USING (
  EXISTS (SELECT FROM memberships m WHERE m.tenant_id = businesses.id AND m.user_id = {USER}))
"""  # noqa: S608 - our own names


def upgrade() -> None:
    _profile()
    _locations()
    _tax_classes()
    _tax_rates()
    for table in ("locations", "tax_classes", "tax_rates"):
        wall(op, table, app=_RIGHTS)
    # People choose among the businesses that they work for before they act for one.
    op.execute(_OWN)
    op.execute(
        "INSERT INTO locations (id, tenant_id, name, time_zone, currency)"
        " SELECT id, id, 'Main', 'UTC', currency FROM businesses"
    )


def _moments() -> list[sa.Column[datetime]]:
    return [
        sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()"))
        for name in ("created_at", "updated_at")
    ] + [_deleted_at()]


def _deleted_at() -> sa.Column[datetime]:
    return sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True)


def _version() -> sa.Column[int]:
    return sa.Column("version", sa.Integer(), nullable=False, server_default="1")


def _tenant() -> sa.Column[Any]:
    return sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False)


def _address() -> list[sa.Column[Any]]:
    sizes = {"street": 255, "city": 100, "state": 100, "zip": 20, "country": 100}
    return [sa.Column(name, sa.String(size), nullable=True) for name, size in sizes.items()]


def _profile() -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("legal_name", sa.String(255), nullable=True),
        *_address(),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("phone", sa.String(32), nullable=True),
        sa.Column("website", sa.String(2048), nullable=True),
        sa.Column("plan", sa.String(40), nullable=False, server_default="free"),
        sa.Column(
            "prices_include_tax", sa.Boolean(), nullable=False, server_default=sa.text("false")
        ),
        sa.Column("settings", JSONB(), nullable=False, server_default="{}"),
        _version(),
        _deleted_at(),
    ]
    for column in columns:
        op.add_column("businesses", column)


def _locations() -> None:
    op.create_table(
        "locations",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _tenant(),
        sa.Column("name", sa.String(255), nullable=False),
        *_address(),
        sa.Column("phone", sa.String(32), nullable=True),
        sa.Column("time_zone", sa.String(64), nullable=False, comment="IANA"),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("receipt_header", sa.Text(), nullable=False, server_default=""),
        sa.Column("receipt_footer", sa.Text(), nullable=False, server_default=""),
        sa.Column("opening_hours", JSONB(), nullable=False, server_default="{}"),
        _version(),
        *_moments(),
        sa.UniqueConstraint("tenant_id", "id"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        sa.CheckConstraint("name <> ''", name="named"),
        sa.CheckConstraint(
            "char_length(receipt_header) <= 1000 AND char_length(receipt_footer) <= 1000",
            name="receipt_bounded",
        ),
        sa.CheckConstraint("id <> tenant_id OR deleted_at IS NULL", name="main_stays"),
    )
    _unique_name("locations")


def _tax_classes() -> None:
    op.create_table(
        "tax_classes",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _tenant(),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        _version(),
        *_moments(),
        sa.UniqueConstraint("tenant_id", "id"),
        sa.CheckConstraint("name <> ''", name="named"),
    )
    _unique_name("tax_classes")
    op.create_index(
        "uq_tax_classes_default",
        "tax_classes",
        ["tenant_id"],
        unique=True,
        postgresql_where=sa.text("is_default AND deleted_at IS NULL"),
    )


def _tax_rates() -> None:
    op.create_table(
        "tax_rates",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _tenant(),
        sa.Column("tax_class_id", sa.Uuid(), nullable=False),
        sa.Column(
            "location_id",
            sa.Uuid(),
            nullable=True,
            comment="Null: wherever no rate of the location's own holds",
        ),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("rate_ppm", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        _version(),
        *_moments(),
        sa.ForeignKeyConstraint(
            ["tenant_id", "tax_class_id"], ["tax_classes.tenant_id", "tax_classes.id"]
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "location_id"], ["locations.tenant_id", "locations.id"]
        ),
        sa.CheckConstraint("rate_ppm BETWEEN 0 AND 10000000", name="rate_bounded"),
        sa.CheckConstraint("name <> ''", name="named"),
    )
    op.create_index(
        "uq_tax_rates_moment",
        "tax_rates",
        ["tenant_id", "tax_class_id", "location_id", "valid_from"],
        unique=True,
        postgresql_where=_LIVE,
        postgresql_nulls_not_distinct=True,
    )


def _unique_name(table: str) -> None:
    op.create_index(
        f"uq_{table}_name",
        table,
        ["tenant_id", sa.text("lower(name)")],
        unique=True,
        postgresql_where=_LIVE,
    )
