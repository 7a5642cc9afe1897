"""What a business says about itself, where it is, and how its goods are taxed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    CHAR,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.kit.schema import LIVE_ID, create_table, moment, of_tenant

revision = "0035_business"
down_revision = "0034_runtime"
branch_labels = None
depends_on = None

_LIVE = text("deleted_at IS NULL")


def upgrade() -> None:
    _businesses()
    _locations()
    _tax_classes()
    _tax_rates()


def _businesses() -> None:
    create_table(
        op,
        "businesses",
        Column("id", Uuid, primary_key=True),
        Column("name", String(255), nullable=False),
        Column("currency", CHAR(3), nullable=False, server_default="USD"),
        moment("created_at", server_default=func.now()),
        moment("updated_at", server_default=func.now()),
        Column("legal_name", String(255)),
        Column("street", String(255)),
        Column("city", String(100)),
        Column("state", String(100)),
        Column("zip", String(20)),
        Column("country", String(100)),
        Column("email", String(254)),
        Column("phone", String(32)),
        Column("website", String(2048)),
        Column("plan", String(40), nullable=False, server_default="free"),
        Column("prices_include_tax", Boolean, nullable=False, server_default=text("false")),
        Column("settings", JSONB, nullable=False, server_default="{}"),
        Column("version", Integer, nullable=False, server_default="1"),
        moment("deleted_at", nullable=True),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        info=of_tenant(app="SELECT, INSERT, UPDATE", host="SELECT", key="id"),
    )


def _locations() -> None:
    create_table(
        op,
        "locations",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("name", String(255), nullable=False),
        Column("street", String(255)),
        Column("city", String(100)),
        Column("state", String(100)),
        Column("zip", String(20)),
        Column("country", String(100)),
        Column("phone", String(32)),
        Column("time_zone", String(64), nullable=False, comment="IANA"),
        Column("currency", CHAR(3), nullable=False),
        Column("receipt_header", Text, nullable=False, server_default=""),
        Column("receipt_footer", Text, nullable=False, server_default=""),
        Column("opening_hours", JSONB, nullable=False, server_default="{}"),
        Column("version", Integer, nullable=False, server_default="1"),
        moment("created_at", server_default=func.now()),
        moment("updated_at", server_default=func.now()),
        moment("deleted_at", nullable=True),
        Column("live_id", Uuid, Computed(LIVE_ID, persisted=True), unique=True),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("name <> ''", name="named"),
        CheckConstraint(
            "char_length(receipt_header) <= 1000 AND char_length(receipt_footer) <= 1000",
            name="receipt_bounded",
        ),
        CheckConstraint("id <> tenant_id OR deleted_at IS NULL", name="main_stays"),
        UniqueConstraint("tenant_id", "id"),
        Index("ix_locations_oldest", "tenant_id", "created_at", "id", postgresql_where=_LIVE),
        Index(
            "uq_locations_name",
            "tenant_id",
            text("lower(name)"),
            unique=True,
            postgresql_where=_LIVE,
        ),
        info=of_tenant(app="SELECT, INSERT, UPDATE"),
    )


def _tax_classes() -> None:
    create_table(
        op,
        "tax_classes",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("name", String(100), nullable=False),
        Column("is_default", Boolean, nullable=False, server_default=text("false")),
        Column("version", Integer, nullable=False, server_default="1"),
        moment("created_at", server_default=func.now()),
        moment("updated_at", server_default=func.now()),
        moment("deleted_at", nullable=True),
        Column("live_id", Uuid, Computed(LIVE_ID, persisted=True), unique=True),
        CheckConstraint("name <> ''", name="named"),
        UniqueConstraint("tenant_id", "id"),
        Index("ix_tax_classes_oldest", "tenant_id", "created_at", "id", postgresql_where=_LIVE),
        Index(
            "uq_tax_classes_default",
            "tenant_id",
            unique=True,
            postgresql_where=text("is_default AND deleted_at IS NULL"),
        ),
        Index(
            "uq_tax_classes_name",
            "tenant_id",
            text("lower(name)"),
            unique=True,
            postgresql_where=_LIVE,
        ),
        info=of_tenant(app="SELECT, INSERT, UPDATE"),
    )


def _tax_rates() -> None:
    create_table(
        op,
        "tax_rates",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("tax_class_id", Uuid, nullable=False),
        Column("location_id", Uuid, comment="Null: wherever no rate of the location's own holds"),
        Column("name", String(100), nullable=False),
        Column("rate_ppm", Integer, nullable=False),
        moment("valid_from"),
        Column("version", Integer, nullable=False, server_default="1"),
        moment("created_at", server_default=func.now()),
        moment("updated_at", server_default=func.now()),
        moment("deleted_at", nullable=True),
        CheckConstraint("rate_ppm BETWEEN 0 AND 10000000", name="rate_bounded"),
        CheckConstraint("name <> ''", name="named"),
        ForeignKeyConstraint(
            ["tenant_id", "tax_class_id"], ["tax_classes.tenant_id", "tax_classes.id"]
        ),
        ForeignKeyConstraint(["tenant_id", "location_id"], ["locations.tenant_id", "locations.id"]),
        Index(
            "ix_tax_rates_newest",
            "tenant_id",
            "tax_class_id",
            "valid_from",
            "id",
            postgresql_where=_LIVE,
        ),
        Index(
            "uq_tax_rates_moment",
            "tenant_id",
            "tax_class_id",
            "location_id",
            "valid_from",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=_LIVE,
        ),
        info=of_tenant(app="SELECT, INSERT, UPDATE"),
    )
