"""Customers of a business, their groups, and what they are found by."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from store.kit.schema import create_table, live_id, moment, of_tenant, used

revision = "0049_customers"
down_revision = "0048_cluster_settings"
branch_labels = None
depends_on = None

_LIVE = text("deleted_at IS NULL")


def upgrade() -> None:
    create_table(
        op,
        "customer_groups",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("name", String(100), nullable=False),
        Column("version", Integer, nullable=False),
        moment("created_at"),
        moment("updated_at"),
        moment("deleted_at", nullable=True),
        live_id(),
        Index(
            "uq_customer_groups_name",
            "tenant_id",
            text("lower(name)"),
            unique=True,
            postgresql_where=_LIVE,
        ),
        Index("ix_customer_groups_oldest", "tenant_id", "created_at", "id", postgresql_where=_LIVE),
        info=of_tenant(app="SELECT, INSERT, UPDATE", host=""),
    )
    create_table(
        op,
        "customers",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("name", String(255)),
        Column("sort_name", String(255), nullable=False, comment="What the list is sorted by"),
        Column("email", String(254)),
        Column("phone", String(32), comment="In E.164, or a national number's digits"),
        Column("group_id", Uuid),
        Column("tax_exempt", Boolean, nullable=False),
        Column("tax_exempt_reason", String(255)),
        Column("tax_exempt_certificate", String(100)),
        Column("tax_exempt_until", Date, comment="The last day"),
        Column("notes", Text),
        Column("external_id", String(255)),
        Column("tags", ARRAY(String(50)), nullable=False),
        Column("metadata", JSONB, nullable=False),
        Column("version", Integer, nullable=False),
        moment("created_at"),
        moment("updated_at"),
        moment("deleted_at", nullable=True),
        *used("used_group_id", "deleted_at IS NULL", "customer_groups", "group_id"),
        UniqueConstraint("tenant_id", "id"),
        CheckConstraint(
            "num_nonnulls(name, email, phone) > 0 OR deleted_at IS NOT NULL", name="named"
        ),
        Index("ix_customers_sorted", "tenant_id", "sort_name", "id", postgresql_where=_LIVE),
        Index(
            "uq_customers_external_id",
            "tenant_id",
            "external_id",
            unique=True,
            postgresql_where=_LIVE,
        ),
        info=of_tenant(app="SELECT, INSERT, UPDATE", host=""),
    )
    create_table(
        op,
        "customer_terms",
        Column("tenant_id", Uuid, primary_key=True),
        Column("term", String(255, collation="C"), primary_key=True),
        Column("customer_id", Uuid, primary_key=True),
        ForeignKeyConstraint(["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"]),
        Index("ix_customer_terms_customer_id", "customer_id"),
        comment="What customers are found by: see store.crm.terms",
        info=of_tenant(app="SELECT, INSERT, DELETE", host=""),
    )
