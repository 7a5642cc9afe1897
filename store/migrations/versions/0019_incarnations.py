"""What tells one process of a host from the next, and an operator's wishes about shards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.kit.schema import grant

revision = "0019_incarnations"
down_revision = "0018_api_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column(
            "build",
            sa.Text,
            nullable=False,
            server_default="",
            comment="Of the code that it runs; empty: from before builds were told",
        ),
        sa.Column(
            "birth",
            sa.BigInteger,
            nullable=False,
            server_default="0",
            comment="When the process began, as its machine counts; with the pid it names one"
            " process for good; 0: not known",
        ),
        sa.Column(
            "superseded_at",
            sa.DateTime(timezone=True),
            comment="Set when a younger incarnation took the name",
        ),
        sa.Column(
            "ended_at", sa.DateTime(timezone=True), comment="Set once its process is proved gone"
        ),
    ):
        op.add_column("shard_hosts", column)
    op.add_column(
        "keeper_beat", sa.Column("keeper_id", sa.Uuid, comment="Who keeps; others stand by")
    )
    _wishes()


def _wishes() -> None:
    op.create_table(
        "shard_pins",
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("host_name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("family", "shard", name="pk_shard_pins"),
        comment="Where an operator wants a shard to be",
    )
    op.create_table(
        "drained_hosts",
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_drained_hosts"),
        comment="Hosts that an operator wants to be without shards",
    )
    for table in ("shard_pins", "drained_hosts"):
        grant(op, table, host="SELECT, INSERT, UPDATE, DELETE")
