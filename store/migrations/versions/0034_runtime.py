"""The runtime's own tables: installation, hosts, leases, command log, outbox, audit log."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from core.settings import get_settings
from store.kit.schema import (
    HOST_ROLE,
    Xid8,
    create_table,
    function_for,
    moment,
    of_caller,
    of_nobody,
    of_tenant,
)

revision = "0034_runtime"
down_revision = "0033_roles"
branch_labels = None
depends_on = None

# To detach a day beside traffic takes a statement of its own by the table's owner: so the log is
# the keeper's, who writes it anyway. Its right to create tables is for the moment of the change.
_OWNED_BY_HOST = (
    f"""
DO $$ BEGIN
  IF NOT pg_has_role(current_user, '{HOST_ROLE}', 'USAGE') THEN
    EXECUTE format('GRANT {HOST_ROLE} TO %I', current_user);
  END IF;
END $$""",
    f"GRANT CREATE ON SCHEMA public TO {HOST_ROLE}",
    f"ALTER TABLE command_log OWNER TO {HOST_ROLE}",
    f"REVOKE CREATE ON SCHEMA public FROM {HOST_ROLE}",
    f"REVOKE ALL ON command_log FROM {HOST_ROLE}",
    f"GRANT SELECT, INSERT ON command_log TO {HOST_ROLE}",
)

# Runs as the schema's owner: the keeper may create nothing in it. A day is made apart and then
# attached, which waits for nobody who reads or writes; days that were detached are dropped when
# nobody reads them any more.
_DAY = """
CREATE FUNCTION make_command_log_day(day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE part text := 'command_log_p' || to_char(day, 'YYYYMMDD');
BEGIN
  IF EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'public.command_log'::regclass
             AND inhrelid = to_regclass('public.' || part)) THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE public.%I (LIKE public.command_log INCLUDING ALL)', part);
  EXECUTE format('ALTER TABLE public.command_log ATTACH PARTITION public.%I'
    ' FOR VALUES FROM (%L) TO (%L)', part, day, day + 1);
END $$
"""
_ROTATE = """
CREATE FUNCTION rotate_command_log() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET timezone = 'UTC' SET lock_timeout = '100ms' AS $$
DECLARE day date; part record;
BEGIN
  -- One at a time, whoever calls.
  PERFORM pg_advisory_xact_lock(hashtext('rotate_command_log'));
  FOR day IN SELECT generate_series(current_date, current_date + 14, interval '1 day')::date LOOP
    PERFORM public.make_command_log_day(day);
  END LOOP;
  FOR part IN SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
      AND c.relname ~ '^command_log_p[0-9]{8}$'
      AND to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - 8
      AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) LOOP
    BEGIN
      EXECUTE format('DROP TABLE public.%I', part.relname);
    EXCEPTION WHEN lock_not_available THEN
      NULL; -- a backup that began before it was detached; the days made above stay
    END;
  END LOOP;
END $$
"""


def upgrade() -> None:
    _installation()
    _shard_hosts()
    _shard_leases()
    _shard_pins()
    _drained_hosts()
    _keeper_beat()
    _command_log()
    _outbox()
    _audit_log()
    shards = text("INSERT INTO installation VALUES ('shards', :n)")
    op.execute(shards.bindparams(n=str(get_settings().shards)))
    op.execute("INSERT INTO keeper_beat VALUES (1, '-infinity')")
    for statement in _OWNED_BY_HOST:
        op.execute(statement)
    op.execute(_DAY)
    op.execute("REVOKE ALL ON FUNCTION make_command_log_day(date) FROM PUBLIC")
    function_for(op, HOST_ROLE, "rotate_command_log()", _ROTATE)
    op.execute("SELECT rotate_command_log()")


def _installation() -> None:
    create_table(
        op,
        "installation",
        Column("name", Text, primary_key=True),
        Column("value", Text, nullable=False),
        comment="Facts fixed when the database was set up, such as the number of shards",
        info=of_nobody(app="SELECT", host="SELECT"),
    )


def _shard_hosts() -> None:
    create_table(
        op,
        "shard_hosts",
        Column("id", Uuid, primary_key=True, comment="One incarnation of a host: one process"),
        Column("name", Text, nullable=False, comment="Of the Ray actor"),
        Column("machine", Text, nullable=False, comment="Boot id of the machine it runs on"),
        Column("pid", Integer, nullable=False),
        moment("started_at", server_default=func.now()),
        moment("expires_at"),
        moment("lost_at", nullable=True, comment="Set by who took its shards"),
        Column("decided_at_ms", BigInteger, nullable=False, server_default="0"),
        Column(
            "build",
            Text,
            nullable=False,
            server_default=text("''"),
            comment="Of the code that it runs; empty: from before builds were told",
        ),
        Column(
            "birth",
            BigInteger,
            nullable=False,
            server_default="0",
            comment="When the process began, as its machine counts; with the pid it names one"
            " process for good; 0: not known",
        ),
        moment(
            "superseded_at", nullable=True, comment="Set when a younger incarnation took the name"
        ),
        moment("ended_at", nullable=True, comment="Set once its process is proved gone"),
        info=of_nobody(app="SELECT", host="SELECT, INSERT, UPDATE, DELETE"),
    )


def _shard_leases() -> None:
    create_table(
        op,
        "shard_leases",
        Column("family", Text, primary_key=True),
        Column("shard", Integer, primary_key=True),
        Column("host_id", Uuid, ForeignKey("shard_hosts.id")),
        Column("epoch", BigInteger, nullable=False, server_default="0"),
        Column(
            "decided_at_ms",
            BigInteger,
            nullable=False,
            server_default="0",
            comment="Floor of the next owner's decision time",
        ),
        Index("ix_shard_leases_host_id", "host_id"),
        info=of_nobody(app="SELECT", host="SELECT, INSERT, UPDATE, DELETE"),
    )


def _shard_pins() -> None:
    create_table(
        op,
        "shard_pins",
        Column("family", Text, primary_key=True),
        Column("shard", Integer, primary_key=True),
        Column("host_name", Text, nullable=False),
        comment="Where an operator wants a shard to be",
        info=of_nobody(host="SELECT, INSERT, UPDATE, DELETE"),
    )


def _drained_hosts() -> None:
    create_table(
        op,
        "drained_hosts",
        Column("name", Text, primary_key=True),
        comment="Hosts that an operator wants to be without shards",
        info=of_nobody(host="SELECT, INSERT, UPDATE, DELETE"),
    )


def _keeper_beat() -> None:
    create_table(
        op,
        "keeper_beat",
        Column("id", Integer, primary_key=True, comment="1: there is one row"),
        moment("seen_at"),
        Column("keeper_id", Uuid, comment="Who keeps; others stand by"),
        comment="When a keeper last looked at everything",
        info=of_nobody(app="SELECT", host="SELECT, UPDATE"),
    )


def _command_log() -> None:
    create_table(
        op,
        "command_log",
        Column("id", Uuid, primary_key=True),
        Column(
            "tenant_id",
            Uuid,
            nullable=False,
            comment="The business; for a shopper's own mutation the user",
        ),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("reply", LargeBinary, nullable=False),
        Column(
            "created_on",
            Date,
            primary_key=True,
            server_default=text("(now() AT TIME ZONE 'UTC')::date"),
            comment="Part of the key because partitions are daily: unique within a day by the"
            " database, for longer by the log being asked first",
        ),
        postgresql_partition_by="RANGE (created_on)",
        info=of_caller(app="SELECT, INSERT", host="SELECT, INSERT"),
    )


def _outbox() -> None:
    create_table(
        op,
        "outbox",
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("event_id", Uuid, nullable=False),
        Column("tenant_id", Uuid, nullable=False),
        Column("type", Text, nullable=False),
        Column("subject", Text, nullable=False),
        moment("time", server_default=func.now()),
        Column("data", JSONB, nullable=False),
        Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
        moment("published_at", nullable=True),
        Index("ix_outbox_tenant_id_type", "tenant_id", "type"),
        Index("ix_outbox_unpublished", "id", postgresql_where=text("published_at IS NULL")),
        info=of_tenant(app="SELECT, INSERT"),
    )


def _audit_log() -> None:
    create_table(
        op,
        "audit_log",
        Column("id", Uuid, primary_key=True),
        Column(
            "tenant_id",
            Uuid,
            nullable=False,
            comment="The business; for what concerns a person alone the user",
        ),
        moment("at", server_default=text("clock_timestamp()")),
        Column("actor_id", Uuid, nullable=False, comment="A user's or a service key's"),
        Column("actor_role", String(20), nullable=False),
        Column("action", String(64), nullable=False),
        Column("subject", Uuid, nullable=False, comment="The id of what was changed"),
        Column("changes", JSONB, nullable=False, comment="Field to [before, after]"),
        Column("key_id", Uuid, comment="The key that was used; null: none"),
        Index("ix_audit_log_action", "tenant_id", "action", "at", "id"),
        Index("ix_audit_log_actor", "tenant_id", "actor_id", "at", "id"),
        Index("ix_audit_log_tenant_id_at", "tenant_id", "at", "id"),
        Index("ix_audit_log_tenant_id_subject", "tenant_id", "subject", "at"),
        info=of_tenant(app="SELECT, INSERT", host="SELECT, INSERT"),
    )
