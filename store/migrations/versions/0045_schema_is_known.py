"""Replicas, hosts and the keeper may read how far the schema has come, so that none of them serves
on one that is older than its build."""

from __future__ import annotations

from alembic import op

from store.kit.schema import APP_ROLE, HOST_ROLE

revision = "0045_schema_is_known"
down_revision = "0044_restocked_as"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(f"GRANT SELECT ON alembic_version TO {APP_ROLE}, {HOST_ROLE}")
