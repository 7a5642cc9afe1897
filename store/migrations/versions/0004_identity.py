"""Who people are, which businesses there are, and who may act for which.

`businesses`, `memberships` and `service_keys` are a tenant's own and stand behind its wall.
`users`, `sessions`, `refresh_tokens` and `revocations` hold no tenant's data: they are read to
find out who is calling, when there is no scope yet, so the app role has plain grants on them.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.kit.schema import APP_ROLE, HOST_ROLE, TENANT, USER, grant, wall

revision = "0004_identity"
down_revision = "0003_inventory"
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = False, stamped: bool = False) -> sa.Column[datetime]:
    default = sa.text("now()") if stamped else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    _people()
    _businesses()
    _sessions()
    _walls()


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("email", sa.String(254), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(20), nullable=False, server_default="customer"),
        _moment("disabled_at", nullable=True),
        _moment("created_at", stamped=True),
        _moment("updated_at", stamped=True),
        sa.CheckConstraint("email = lower(email)", name="email_lower"),
        sa.CheckConstraint("role IN ('customer', 'vendor', 'admin')", name="role"),
    )


def _businesses() -> None:
    op.create_table(
        "businesses",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False, server_default="USD"),
        _moment("created_at", stamped=True),
        _moment("updated_at", stamped=True),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    )
    op.create_table(
        "memberships",
        sa.Column("tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), primary_key=True),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), primary_key=True, index=True),
        sa.Column("role", sa.String(20), nullable=False),
        _moment("created_at", stamped=True),
        sa.CheckConstraint("role IN ('owner', 'manager', 'staff', 'cashier')", name="role"),
    )
    op.create_table(
        "service_keys",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column(
            "tenant_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=False, index=True
        ),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        _moment("created_at", stamped=True),
        _moment("expires_at", nullable=True),
        _moment("revoked_at", nullable=True),
        _moment("last_used_at", nullable=True),
        sa.CheckConstraint("octet_length(hash) = 32", name="hash"),
        sa.CheckConstraint("cardinality(scopes) BETWEEN 1 AND 50", name="scopes"),
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("business_id", sa.Uuid(), sa.ForeignKey("businesses.id"), nullable=True),
        sa.Column("user_agent", sa.String(255), nullable=False, server_default=""),
        _moment("created_at", stamped=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, index=True),
        _moment("revoked_at", nullable=True),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("hash", sa.LargeBinary(), primary_key=True),
        sa.Column(
            "session_id",
            sa.Uuid(),
            sa.ForeignKey("sessions.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        _moment("issued_at", stamped=True),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        sa.CheckConstraint("octet_length(hash) = 32", name="hash"),
    )
    op.create_table(
        "revocations",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column(
            "revoked_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
            index=True,
        ),
    )


def _walls() -> None:
    wall(op, "memberships")
    wall(op, "service_keys")
    # Signing in must find the businesses of a user before it knows any of them.
    op.execute(
        f"CREATE POLICY memberships_own ON memberships FOR SELECT TO {APP_ROLE}"
        f" USING (user_id = {USER})"
    )
    # The tenant itself: its id is what other tables call tenant_id.
    op.execute("ALTER TABLE businesses ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE businesses FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY businesses_tenant ON businesses TO {APP_ROLE}"
        f" USING (id = {TENANT}) WITH CHECK (id = {TENANT})"
    )
    op.execute(f"CREATE POLICY businesses_host ON businesses TO {HOST_ROLE} USING (true)")
    grant(op, "businesses", app="SELECT, INSERT, UPDATE", host="SELECT")
    grant(op, "users", app="SELECT, INSERT, UPDATE")
    grant(op, "sessions", app="SELECT, INSERT, UPDATE, DELETE")
    grant(op, "refresh_tokens", app="SELECT, INSERT, UPDATE, DELETE")
    grant(op, "revocations", app="SELECT, INSERT, UPDATE, DELETE")
