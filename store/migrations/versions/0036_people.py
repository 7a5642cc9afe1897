"""Who people are, who may act for which business, and how they prove it.

`memberships`, `access_keys` and `invitations` are a tenant's own and stand behind its wall.
`users`, `sessions`, `refresh_tokens`, `revocations` and `password_resets` hold no tenant's data:
they are read to find out who is calling, when there is no scope yet, so the app role has plain
rights to them.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    Uuid,
    func,
    text,
)

from store.kit.schema import APP_ROLE, USER, create_table, moment, of_nobody, of_person, of_tenant

revision = "0036_people"
down_revision = "0035_business"
branch_labels = None
depends_on = None

_MINE = f"TO {APP_ROLE} USING (user_id = {USER})"
# Signing in must find the businesses of a user before it knows any of them.
_MY_MEMBERSHIPS = {"own": f"FOR SELECT {_MINE}"}
# What closes an account or sets its password anew ends its keys in all businesses.
_MY_KEYS = {"own_select": f"FOR SELECT {_MINE}", "own_update": f"FOR UPDATE {_MINE}"}
# People choose among the businesses that they work for before they act for one.
_MY_BUSINESSES = f"""
CREATE POLICY businesses_own ON businesses FOR SELECT TO {APP_ROLE} USING (
  EXISTS (SELECT FROM memberships m WHERE m.tenant_id = businesses.id AND m.user_id = {USER}))
"""  # noqa: S608 - our own names


def upgrade() -> None:
    _users()
    _memberships()
    _sessions()
    _refresh_tokens()
    _revocations()
    _access_keys()
    _invitations()
    _password_resets()
    _user_profiles()
    _addresses()
    op.execute(_MY_BUSINESSES)


def _users() -> None:
    create_table(
        op,
        "users",
        Column("id", Uuid, primary_key=True),
        Column("name", String(255), nullable=False),
        Column("email", String(254), nullable=False, unique=True),
        Column("password_hash", String(255), nullable=False),
        Column("role", String(20), nullable=False, server_default="customer"),
        moment("disabled_at", nullable=True),
        moment("created_at", server_default=func.now()),
        moment("updated_at", server_default=func.now()),
        moment("email_verified_at", nullable=True),
        Column("email_nonce", LargeBinary),
        moment("email_nonce_expires_at", nullable=True),
        CheckConstraint("octet_length(email_nonce) = 16", name="email_nonce"),
        CheckConstraint("email = lower(email)", name="email_lower"),
        CheckConstraint("role IN ('customer', 'vendor', 'admin')", name="role"),
        Index(
            "ix_users_disabled",
            "created_at",
            "id",
            postgresql_where=text("disabled_at IS NOT NULL"),
        ),
        Index("ix_users_newest", "created_at", "id"),
        Index("ix_users_role", "role", "created_at", "id"),
        info=of_nobody(app="SELECT, INSERT, UPDATE"),
    )


def _memberships() -> None:
    create_table(
        op,
        "memberships",
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), primary_key=True),
        Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
        Column("role", String(20), nullable=False),
        moment("created_at", server_default=func.now()),
        CheckConstraint("role IN ('owner', 'manager', 'staff', 'cashier')", name="role"),
        Index("ix_memberships_joined", "tenant_id", "created_at", "user_id"),
        Index("ix_memberships_mine", "user_id", "created_at", "tenant_id"),
        info=of_tenant(further=_MY_MEMBERSHIPS),
    )


def _sessions() -> None:
    create_table(
        op,
        "sessions",
        Column("id", Uuid, primary_key=True),
        Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
        Column("business_id", Uuid, ForeignKey("businesses.id")),
        Column("user_agent", String(255), nullable=False, server_default=""),
        moment("created_at", server_default=func.now()),
        moment("expires_at"),
        moment("revoked_at", nullable=True),
        Index("ix_sessions_expires_at", "expires_at"),
        Index(
            "ix_sessions_live",
            "user_id",
            "expires_at",
            "id",
            postgresql_where=text("revoked_at IS NULL"),
        ),
        Index("ix_sessions_user_id", "user_id"),
        info=of_nobody(app="SELECT, INSERT, UPDATE, DELETE"),
    )


def _refresh_tokens() -> None:
    create_table(
        op,
        "refresh_tokens",
        Column("hash", LargeBinary, primary_key=True),
        Column("session_id", Uuid, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
        moment("issued_at", server_default=func.now()),
        moment("expires_at"),
        moment("used_at", nullable=True),
        CheckConstraint("octet_length(hash) = 32", name="hash"),
        Index("ix_refresh_tokens_session_id", "session_id"),
        info=of_nobody(app="SELECT, INSERT, UPDATE, DELETE"),
    )


def _revocations() -> None:
    create_table(
        op,
        "revocations",
        Column("id", Uuid, primary_key=True),
        moment("revoked_at", server_default=text("clock_timestamp()")),
        Index("ix_revocations_revoked_at", "revoked_at"),
        info=of_nobody(app="SELECT, INSERT, UPDATE, DELETE"),
    )


def _access_keys() -> None:
    create_table(
        op,
        "access_keys",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("name", String(100), nullable=False),
        Column("hash", LargeBinary, nullable=False),
        Column("scopes", ARRAY(Text), nullable=False),
        Column("created_by", Uuid, ForeignKey("users.id"), nullable=False),
        moment("created_at", server_default=func.now()),
        moment("expires_at", nullable=True),
        moment("revoked_at", nullable=True),
        moment("last_used_at", nullable=True),
        Column("rate_limit_per_second", Integer, comment="Null: what every key of its kind may"),
        Column(
            "user_id",
            Uuid,
            ForeignKey("users.id"),
            comment="As whom an API key acts; null: a service key",
        ),
        CheckConstraint("octet_length(hash) = 32", name="hash"),
        CheckConstraint("rate_limit_per_second BETWEEN 1 AND 5000", name="rate_limit"),
        CheckConstraint("cardinality(scopes) BETWEEN 1 AND 50", name="scopes"),
        Index("ix_access_keys_newest", "tenant_id", "user_id", "created_at", "id"),
        Index(
            "ix_access_keys_service",
            "tenant_id",
            "created_at",
            "id",
            postgresql_where=text("user_id IS NULL"),
        ),
        Index("ix_access_keys_user_id", "user_id"),
        info=of_tenant(
            app="SELECT, INSERT, UPDATE (expires_at, revoked_at, last_used_at)", further=_MY_KEYS
        ),
    )


def _invitations() -> None:
    create_table(
        op,
        "invitations",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("email", String(254), nullable=False),
        Column("role", String(20), nullable=False),
        Column("nonce", LargeBinary, nullable=False),
        Column("created_by", Uuid, ForeignKey("users.id"), nullable=False),
        moment("created_at", server_default=func.now()),
        moment("expires_at"),
        moment("accepted_at", nullable=True),
        Column("accepted_by", Uuid, ForeignKey("users.id")),
        moment("revoked_at", nullable=True),
        CheckConstraint("role IN ('manager', 'staff', 'cashier')", name="role"),
        CheckConstraint("octet_length(nonce) = 16", name="nonce"),
        CheckConstraint("email = lower(email)", name="email_lower"),
        Index("ix_invitations_newest", "tenant_id", "created_at", "id"),
        Index(
            "uq_invitations_open",
            "tenant_id",
            "email",
            unique=True,
            postgresql_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
        ),
        info=of_tenant(app="SELECT, INSERT, UPDATE"),
    )


def _password_resets() -> None:
    create_table(
        op,
        "password_resets",
        Column("id", Uuid, primary_key=True),
        Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
        Column("nonce", LargeBinary, nullable=False),
        moment("created_at", server_default=func.now()),
        moment("expires_at"),
        moment("used_at", nullable=True),
        CheckConstraint("octet_length(nonce) = 16", name="nonce"),
        Index("ix_password_resets_expires_at", "expires_at"),
        Index("ix_password_resets_user_id", "user_id"),
        info=of_nobody(app="SELECT, INSERT, UPDATE, DELETE"),
    )


def _user_profiles() -> None:
    create_table(
        op,
        "user_profiles",
        Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
        Column("phone", String(32)),
        Column("newsletter", Boolean, nullable=False, server_default=text("true")),
        Column("theme", String(20), nullable=False, server_default="light"),
        moment("created_at", server_default=func.now()),
        moment("updated_at", server_default=func.now()),
        CheckConstraint("theme IN ('light', 'dark', 'system')", name="theme"),
        info=of_person(app="SELECT, INSERT, UPDATE"),
    )


def _addresses() -> None:
    create_table(
        op,
        "addresses",
        Column("id", Uuid, primary_key=True),
        Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
        Column("street", String(255)),
        Column("city", String(100)),
        Column("state", String(100)),
        Column("zip", String(20)),
        Column("country", String(100)),
        Column("is_default", Boolean, nullable=False, server_default=text("false")),
        moment("created_at", server_default=func.now()),
        moment("updated_at", server_default=func.now()),
        Index("ix_addresses_user_id", "user_id"),
        Index("uq_addresses_default", "user_id", unique=True, postgresql_where=text("is_default")),
        info=of_person(),
    )
