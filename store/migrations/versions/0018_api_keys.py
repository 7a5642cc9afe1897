"""API keys of people beside the service keys of businesses, and which key changed something."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.kit.schema import APP_ROLE, USER

revision = "0018_api_keys"
down_revision = "0017_offline_sales"
branch_labels = None
depends_on = None

# What constraints, the index and policies are called goes by the table's name.
_RENAME_CONSTRAINTS = """
DO $$
DECLARE one text;
BEGIN
  FOR one IN SELECT conname FROM pg_constraint
    WHERE conrelid = 'access_keys'::regclass AND conname LIKE '%service_keys%'
  LOOP
    EXECUTE format('ALTER TABLE access_keys RENAME CONSTRAINT %I TO %I',
                   one, replace(one, 'service_keys', 'access_keys'));
  END LOOP;
END $$
"""


def upgrade() -> None:
    op.rename_table("service_keys", "access_keys")
    op.execute(_RENAME_CONSTRAINTS)
    op.execute("ALTER INDEX ix_service_keys_tenant_id RENAME TO ix_access_keys_tenant_id")
    for whose in ("tenant", "host"):
        op.execute(
            f"ALTER POLICY service_keys_{whose} ON access_keys RENAME TO access_keys_{whose}"
        )
    op.add_column(
        "access_keys",
        sa.Column(
            "user_id",
            sa.Uuid(),
            sa.ForeignKey("users.id"),
            nullable=True,
            comment="As whom an API key acts; null: a service key",
        ),
    )
    op.create_index("ix_access_keys_user_id", "access_keys", ["user_id"])
    op.alter_column(
        "access_keys",
        "rate_limit_per_second",
        existing_type=sa.Integer(),
        comment="Null: what every key of its kind may",
    )
    _walls()
    op.add_column(
        "audit_log",
        sa.Column("key_id", sa.Uuid(), nullable=True, comment="The key that was used; null: none"),
    )


def _walls() -> None:
    """A key can be ended, and never be made another's or do more."""
    # What closes an account or sets its password anew ends its keys in all businesses.
    for right in ("SELECT", "UPDATE"):
        op.execute(
            f"CREATE POLICY access_keys_own_{right.lower()} ON access_keys FOR {right}"
            f" TO {APP_ROLE} USING (user_id = {USER})"
        )
    op.execute(f"REVOKE UPDATE, DELETE ON access_keys FROM {APP_ROLE}")
    op.execute(f"GRANT UPDATE (expires_at, revoked_at, last_used_at) ON access_keys TO {APP_ROLE}")
