"""The one MetaData that every capability's tables hang on, and the policies that wall tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Column, Computed, DateTime, ForeignKey, Index, MetaData, String, Uuid, text

APP_ROLE = "holdfast_app"
HOST_ROLE = "holdfast_host"

TENANT = "nullif(current_setting('holdfast.tenant_id', true), '')::uuid"
USER = "nullif(current_setting('holdfast.user_id', true), '')::uuid"
PUBLIC = "current_setting('holdfast.audience', true) = 'public'"

# How long DDL may wait for a lock beside traffic: all that come after it wait as long.
LOCK_TIMEOUT = "100ms"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


LIVE_ID = "CASE WHEN deleted_at IS NULL THEN id END"


def live_id() -> Column[Any]:
    """The id while the row is not deleted: what a `used` column of another table refers to, so
    that the database itself refuses to delete what is in use, and to use what is deleted."""
    return Column("live_id", Uuid, Computed(LIVE_ID, persisted=True), unique=True)


def used(name: str, condition: str, refers_to: str, of: str) -> tuple[Column[Any], Index]:
    """A column that is `of` while `condition` holds and null otherwise, and its index."""
    value = f"CASE WHEN {condition} THEN {of} END"
    column: Column[Any] = Column(
        name, Uuid, Computed(value, persisted=True), ForeignKey(f"{refers_to}.live_id")
    )
    return column, Index(None, column, postgresql_where=text(f"{name} IS NOT NULL"))


def moment(name: str, *, nullable: bool = False, **rest: Any) -> Column[datetime]:
    """A column that holds a point in time; mandatory unless said otherwise."""
    return Column(name, DateTime(timezone=True), nullable=nullable, **rest)


def address_columns() -> list[Column[Any]]:
    """The columns of a postal address, as every table that has one calls them. `country` is an
    ISO 3166-1 code of two letters, or a name where it is a person's own."""
    return [
        Column("street", String(255)),
        Column("city", String(100)),
        Column("state", String(100)),
        Column("zip", String(20)),
        Column("country", String(100)),
    ]


class Executor(Protocol):
    """Whatever runs a statement: alembic's `op` in a migration."""

    def execute(self, sqltext: str) -> Any: ...


def index_concurrently(op: Any, name: str, definition: str, *, unique: bool = False) -> None:
    """Builds an index (`definition`: "ON products (tenant_id, name)") while others write, however
    long that takes. What the migration did before is committed by then, and if it is tried again
    it starts anew: so nothing else belongs into a migration that does this, but more indexes."""
    with op.get_context().autocommit_block():
        # It waits for transactions older than itself, and nobody waits for it.
        op.execute("SET lock_timeout = 0")
        # An earlier try may have left it unfinished, which the database never uses.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        kind = "UNIQUE INDEX" if unique else "INDEX"
        op.execute(f"CREATE {kind} CONCURRENTLY {name} {definition}")
        op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")


def drop_index_concurrently(op: Any, name: str) -> None:
    """As `index_concurrently`, the other way round: nobody waits, and nothing else belongs into
    the migration."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")


def wall(op: Executor, table: str, *, app: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Puts forced row-level security on `table`: the app role sees and writes only rows of the
    transaction's tenant (none without one); the host role, which serves all tenants, all rows.

    `app` lists what the app role may do at all; an aggregate's tables take `SELECT` alone.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY {table}_tenant ON {table} TO {APP_ROLE}"
        f" USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})"
    )
    op.execute(f"CREATE POLICY {table}_host ON {table} TO {HOST_ROLE} USING (true)")
    grant(op, table, app=app, host="SELECT, INSERT, UPDATE, DELETE")


def wall_person(op: Executor, table: str, *, app: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """The same for what is a person's and no business's: the app role sees and writes only rows
    whose `user_id` is the transaction's user."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY {table}_own ON {table} TO {APP_ROLE}"
        f" USING (user_id = {USER}) WITH CHECK (user_id = {USER})"
    )
    grant(op, table, app=app)


def grant(op: Executor, table: str, *, app: str = "", host: str = "") -> None:
    """Grants the two serving roles their rights on `table`; an empty string grants nothing."""
    for role, rights in ((APP_ROLE, app), (HOST_ROLE, host)):
        if rights:
            op.execute(f"GRANT {rights} ON {table} TO {role}")
