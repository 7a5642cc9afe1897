"""The runtime's own tables: installation, hosts, leases, command log, outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.settings import get_settings
from store.hosts.tables import Xid8
from store.kit.schema import APP_ROLE, HOST_ROLE, TENANT, USER, grant, wall

revision = "0002_runtime"
down_revision = "0001_roles"
branch_labels = None
depends_on = None

# One partition a day, made ahead; a week is kept. Runs as the schema's owner because only an
# owner may add partitions, and the keeper, which calls it, is not one.
_ROTATE = """
CREATE FUNCTION rotate_command_log() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE day date; part record;
BEGIN
  FOR day IN SELECT generate_series(current_date, current_date + 3, interval '1 day')::date LOOP
    IF to_regclass('command_log_p' || to_char(day, 'YYYYMMDD')) IS NULL THEN
      EXECUTE format('CREATE TABLE %I PARTITION OF command_log FOR VALUES FROM (%L) TO (%L)',
        'command_log_p' || to_char(day, 'YYYYMMDD'), day, day + 1);
    END IF;
  END LOOP;
  FOR part IN SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = 'command_log'::regclass AND relname ~ '_p[0-9]{8}$'
      AND to_date(right(relname, 8), 'YYYYMMDD') < current_date - 8 LOOP
    EXECUTE format('DROP TABLE %I', part.relname);
  END LOOP;
END $$
"""


def upgrade() -> None:
    _leases()
    _command_log()
    _outbox()


def _leases() -> None:
    op.create_table(
        "installation",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_installation"),
        comment="Facts fixed when the database was set up, such as the number of shards",
    )
    op.execute(
        sa.text("INSERT INTO installation VALUES ('shards', :n)").bindparams(
            n=str(get_settings().shards)
        )
    )
    op.create_table(
        "shard_hosts",
        sa.Column("id", sa.Uuid, nullable=False, comment="One incarnation of a host: one process"),
        sa.Column("name", sa.Text, nullable=False, comment="Of the Ray actor"),
        sa.Column("machine", sa.Text, nullable=False, comment="Boot id of the machine it runs on"),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lost_at", sa.DateTime(timezone=True), comment="Set by who took its shards"),
        sa.Column("decided_at_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_shard_hosts"),
    )
    op.create_table(
        "shard_leases",
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("host_id", sa.Uuid),
        sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column(
            "decided_at_ms",
            sa.BigInteger,
            nullable=False,
            server_default="0",
            comment="Floor of the next owner's decision time",
        ),
        sa.PrimaryKeyConstraint("family", "shard", name="pk_shard_leases"),
        sa.ForeignKeyConstraint(
            ["host_id"], ["shard_hosts.id"], name="fk_shard_leases_host_id_shard_hosts"
        ),
    )
    op.create_index("ix_shard_leases_host_id", "shard_leases", ["host_id"])
    op.create_table(
        "keeper_beat",
        sa.Column("id", sa.Integer, nullable=False, comment="1: there is one row"),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_keeper_beat"),
        comment="When a keeper last looked at everything",
    )
    op.execute("INSERT INTO keeper_beat VALUES (1, '-infinity')")
    grant(op, "keeper_beat", app="SELECT", host="SELECT, UPDATE")
    grant(op, "installation", app="SELECT", host="SELECT")
    grant(op, "shard_hosts", app="SELECT", host="SELECT, INSERT, UPDATE, DELETE")
    grant(op, "shard_leases", app="SELECT", host="SELECT, INSERT, UPDATE, DELETE")


def _command_log() -> None:
    op.create_table(
        "command_log",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column(
            "tenant_id",
            sa.Uuid,
            nullable=False,
            comment="The business; for a shopper's own mutation the user",
        ),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("reply", sa.LargeBinary, nullable=False),
        sa.Column(
            "created_on",
            sa.Date,
            nullable=False,
            server_default=sa.text("(now() AT TIME ZONE 'UTC')::date"),
            comment="Part of the key because partitions are daily: unique within a day by the"
            " database, for longer by the log being asked first",
        ),
        sa.PrimaryKeyConstraint("id", "created_on", name="pk_command_log"),
        postgresql_partition_by="RANGE (created_on)",
    )
    op.execute("CREATE TABLE command_log_default PARTITION OF command_log DEFAULT")
    op.execute(_ROTATE)
    op.execute("REVOKE ALL ON FUNCTION rotate_command_log() FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION rotate_command_log() TO {HOST_ROLE}")
    op.execute("SELECT rotate_command_log()")
    op.execute("ALTER TABLE command_log ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE command_log FORCE ROW LEVEL SECURITY")
    own = f"tenant_id = coalesce({TENANT}, {USER})"
    op.execute(
        f"CREATE POLICY command_log_own ON command_log TO {APP_ROLE} USING ({own})"
        f" WITH CHECK ({own})"
    )
    op.execute(f"CREATE POLICY command_log_host ON command_log TO {HOST_ROLE} USING (true)")
    grant(op, "command_log", app="SELECT, INSERT", host="SELECT, INSERT")


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("data", sa.dialects.postgresql.JSONB, nullable=False),
        sa.Column("xid", Xid8(), nullable=False, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index(
        "ix_outbox_unpublished", "outbox", ["id"], postgresql_where=sa.text("published_at IS NULL")
    )
    op.create_index("ix_outbox_tenant_id_type", "outbox", ["tenant_id", "type"])
    wall(op, "outbox", app="SELECT, INSERT")
