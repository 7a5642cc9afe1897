"""What a person's own lists walk: where they are signed in, and where they work."""

from __future__ import annotations

from alembic import op

from store.kit.schema import index_concurrently

revision = "0026_own_lists"
down_revision = "0025_verified_addresses"
branch_labels = None
depends_on = None


def upgrade() -> None:
    index_concurrently(
        op,
        "ix_sessions_live",
        "ON sessions (user_id, expires_at, id) WHERE revoked_at IS NULL",
    )
    index_concurrently(op, "ix_memberships_mine", "ON memberships (user_id, created_at, tenant_id)")


def downgrade() -> None:
    op.drop_index("ix_memberships_mine", "memberships")
    op.drop_index("ix_sessions_live", "sessions")
