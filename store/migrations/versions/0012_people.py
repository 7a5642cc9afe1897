"""How people come to a business, what they say about themselves, and who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from store.kit.schema import HOST_ROLE, grant, wall, wall_person

revision = "0012_people"
down_revision = "0011_stock_transfers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _invitations()
    _password_resets()
    _profiles()
    _audit_log()
    op.add_column(
        "service_keys",
        sa.Column(
            "rate_limit_per_second",
            sa.Integer(),
            nullable=True,
            comment="Null: what every service key may",
        ),
    )
    op.create_check_constraint(
        "rate_limit", "service_keys", "rate_limit_per_second BETWEEN 1 AND 5000"
    )
    wall(op, "invitations", app="SELECT, INSERT, UPDATE")
    grant(op, "password_resets", app="SELECT, INSERT, UPDATE, DELETE")
    wall_person(op, "user_profiles", app="SELECT, INSERT, UPDATE")
    wall_person(op, "addresses")
    wall(op, "audit_log", app="SELECT, INSERT")
    op.execute(f"REVOKE UPDATE, DELETE ON audit_log FROM {HOST_ROLE}")


def _moment(name: str, *, nullable: bool = False, stamped: bool = False) -> sa.Column[datetime]:
    default = sa.text("now()") if stamped else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def _address() -> list[sa.Column[Any]]:
    sizes = {"street": 255, "city": 100, "state": 100, "zip": 20, "country": 100}
    return [sa.Column(name, sa.String(size), nullable=True) for name, size in sizes.items()]


def _invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        _moment("created_at", stamped=True),
        _moment("expires_at"),
        _moment("accepted_at", nullable=True),
        sa.Column("accepted_by", sa.Uuid(), sa.ForeignKey("users.id"), nullable=True),
        _moment("revoked_at", nullable=True),
        sa.CheckConstraint("role IN ('manager', 'staff', 'cashier')", name="role"),
        sa.CheckConstraint("octet_length(nonce) = 16", name="nonce"),
        sa.CheckConstraint("email = lower(email)", name="email_lower"),
    )
    op.create_index("ix_invitations_newest", "invitations", ["tenant_id", "created_at", "id"])
    op.create_index(
        "uq_invitations_open",
        "invitations",
        ["tenant_id", "email"],
        unique=True,
        postgresql_where=sa.text("accepted_at IS NULL AND revoked_at IS NULL"),
    )


def _password_resets() -> None:
    op.create_table(
        "password_resets",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        _moment("created_at", stamped=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, index=True),
        _moment("used_at", nullable=True),
        sa.CheckConstraint("octet_length(nonce) = 16", name="nonce"),
    )


def _profiles() -> None:
    op.create_table(
        "user_profiles",
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("phone", sa.String(32), nullable=True),
        sa.Column("newsletter", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("theme", sa.String(20), nullable=False, server_default="light"),
        _moment("created_at", stamped=True),
        _moment("updated_at", stamped=True),
        sa.CheckConstraint("theme IN ('light', 'dark', 'system')", name="theme"),
    )
    op.create_table(
        "addresses",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False, index=True),
        *_address(),
        sa.Column("is_default", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        _moment("created_at", stamped=True),
        _moment("updated_at", stamped=True),
    )
    op.create_index(
        "uq_addresses_default",
        "addresses",
        ["user_id"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )


def _audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column(
            "tenant_id",
            sa.Uuid(),
            nullable=False,
            comment="The business; for what concerns a person alone the user",
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.Column("actor_id", sa.Uuid(), nullable=False, comment="A user's or a service key's"),
        sa.Column("actor_role", sa.String(20), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False, comment="The id of what was changed"),
        sa.Column("changes", JSONB(), nullable=False, comment="Field to [before, after]"),
    )
    op.create_index("ix_audit_log_tenant_id_at", "audit_log", ["tenant_id", "at", "id"])
    op.create_index("ix_audit_log_tenant_id_subject", "audit_log", ["tenant_id", "subject", "at"])
