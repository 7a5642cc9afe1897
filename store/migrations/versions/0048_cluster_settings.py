"""What the nodes of a cluster must say alike."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary, String, func

from store.kit.schema import create_table, moment, of_nobody

revision = "0048_cluster_settings"
down_revision = "0047_refresh_successors"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        op,
        "cluster_settings",
        Column("name", String(64), primary_key=True),
        Column("digest", LargeBinary, nullable=False, comment="Of its value, with the signing key"),
        moment("said_at", server_default=func.now()),
        info=of_nobody(),
    )
