"""Consumers of events: up to where each has read, and what it failed at."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB

from store.kit.schema import APP_ROLE, create_table, function_for, moment, of_nobody, of_tenant

revision = "0043_consumers"
down_revision = "0042_wide_quantities"
branch_labels = None
depends_on = None

# Consumers read for all businesses. These functions run as the schema's owner, whose policies are
# `true`; what comes of an event is done under the policies of its tenant.
_LOOK = """
CREATE FUNCTION look_for_events(OUT newest bigint, OUT oldest_running bigint,
  OUT next_transaction bigint, OUT is_due boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce((SELECT max(id) FROM outbox), 0), pg_snapshot_xmin(s)::text::bigint,
    pg_snapshot_xmax(s)::text::bigint,
    EXISTS (SELECT FROM consumer_backlog b WHERE b.set_aside_at IS NULL AND b.due_at <= now()
      AND b.consumer IN (SELECT name FROM consumers))
  FROM pg_current_snapshot() AS s
$$
"""
_READ = """
CREATE FUNCTION read_events(reader text, after bigint, upto bigint, at_most integer, kinds text[])
RETURNS TABLE (id bigint, event_id uuid, tenant_id uuid, type text, subject text, "time"
  timestamptz, data text, waits boolean)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, public, pg_temp AS $$
  WITH looked_at AS MATERIALIZED (
    SELECT o.* FROM outbox o WHERE o.id > after AND o.id <= upto ORDER BY o.id LIMIT at_most),
  wanted AS (
    SELECT o.id, o.event_id, o.tenant_id, o.type, o.subject, o.time, o.data::text,
      EXISTS (SELECT FROM consumer_backlog b WHERE b.consumer = reader
        AND b.tenant_id = o.tenant_id AND b.subject = o.subject AND b.set_aside_at IS NULL)
    FROM looked_at o WHERE o.type = ANY (kinds) ORDER BY o.id)
  SELECT * FROM wanted
  UNION ALL SELECT max(o.id), NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM looked_at o
$$
"""
_DUE = """
CREATE FUNCTION due_subjects(reader text, at_most integer)
RETURNS TABLE (tenant_id uuid, subject text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT DISTINCT d.tenant_id, d.subject FROM (
    SELECT b.tenant_id, b.subject FROM consumer_backlog b
    WHERE b.consumer = reader AND b.set_aside_at IS NULL AND b.due_at <= now()
    ORDER BY b.due_at LIMIT 1000) AS d
  LIMIT at_most
$$
"""
_WAITING = text("set_aside_at IS NULL")


def upgrade() -> None:
    _consumers()
    _backlog()
    # The functions above stand behind the wall, too.
    op.execute("CREATE POLICY outbox_owner ON outbox FOR SELECT TO CURRENT_USER USING (true)")
    function_for(op, APP_ROLE, "look_for_events()", _LOOK)
    function_for(op, APP_ROLE, "read_events(text, bigint, bigint, integer, text[])", _READ)
    function_for(op, APP_ROLE, "due_subjects(text, integer)", _DUE)


def _consumers() -> None:
    create_table(
        op,
        "consumers",
        Column("name", Text, primary_key=True),
        Column("position", BigInteger, nullable=False, comment="Id of the last event seen to"),
        moment("begun_at", server_default=func.now()),
        moment("moved_at", server_default=func.now()),
        moment("missed_at", nullable=True, comment="When events that it had not read were deleted"),
        comment="Who reads events, and up to where each has come",
        info=of_nobody(app="SELECT, INSERT, UPDATE", host="SELECT, UPDATE, DELETE"),
    )


def _backlog() -> None:
    create_table(
        op,
        "consumer_backlog",
        Column("consumer", Text, primary_key=True),
        Column(
            "id", BigInteger, primary_key=True, comment="Of the outbox's row, which may be gone"
        ),
        Column("tenant_id", Uuid, nullable=False),
        Column("event_id", Uuid, nullable=False),
        Column("type", Text, nullable=False),
        Column("subject", Text, nullable=False),
        moment("time"),
        Column("data", JSONB, nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
        moment("due_at", server_default=func.now()),
        Column("problem", Text, comment="Of the last attempt; empty: waits for an earlier event"),
        moment("set_aside_at", nullable=True, comment="When it was given up"),
        Index("ix_consumer_backlog_due", "consumer", "due_at", postgresql_where=_WAITING),
        Index(
            "ix_consumer_backlog_subject",
            *("consumer", "tenant_id", "subject", "id"),
            postgresql_where=_WAITING,
        ),
        comment="Events that a consumer failed at, and those that wait for them",
        info=of_tenant(owner="SELECT"),
    )
