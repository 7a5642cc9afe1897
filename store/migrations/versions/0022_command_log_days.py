"""Days of the command log come and go without stopping anybody: no DEFAULT partition, which made
each new day wait for every reader, and an owner who may detach while others write."""

from __future__ import annotations

from alembic import op

from store.kit.schema import HOST_ROLE

revision = "0022_command_log_days"
down_revision = "0021_first_variants"
branch_labels = None
depends_on = None

# To detach beside traffic takes a statement of its own by the table's owner: so the log is the
# keeper's, who writes it anyway. Its right to create tables is for the moment of the change.
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
CREATE OR REPLACE FUNCTION rotate_command_log() RETURNS void
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
# A database that rested for days has rows in there, without which some of the coming days cannot
# be made.
_EMPTY_DEFAULT = """
DO $$ DECLARE day date; BEGIN
  SET LOCAL timezone = 'UTC';
  FOR day IN SELECT DISTINCT created_on FROM command_log_default
    WHERE created_on >= current_date - 8 LOOP
    PERFORM make_command_log_day(day);
  END LOOP;
  INSERT INTO command_log
    SELECT * FROM command_log_default WHERE created_on >= current_date - 8;
END $$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE command_log DETACH PARTITION command_log_default")
    for statement in _OWNED_BY_HOST:
        op.execute(statement)
    op.execute(_DAY)
    op.execute("REVOKE ALL ON FUNCTION make_command_log_day(date) FROM PUBLIC")
    op.execute(_ROTATE)
    op.execute(_EMPTY_DEFAULT)
    op.execute("DROP TABLE command_log_default")
    op.execute("SELECT rotate_command_log()")
