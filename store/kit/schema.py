"""The MetaData of every capability's tables, and the policies that wall tenants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import (
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    String,
    Table,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import UserDefinedType

APP_ROLE = "holdfast_app"
HOST_ROLE = "holdfast_host"

TENANT = "nullif(current_setting('holdfast.tenant_id', true), '')::uuid"
USER = "nullif(current_setting('holdfast.user_id', true), '')::uuid"
PUBLIC = "current_setting('holdfast.audience', true) = 'public'"
# The same, for tables that the public lists. The planner estimates that a comparison with a setting
# is true of one row in 200, and then sorts a whole table rather than walk 10,000 rows of an index;
# inside coalesce it estimates one in two.
PUBLIC_LISTED = f"coalesce({PUBLIC}, false)"

# How long DDL may wait for a lock beside traffic: all sessions that come after it wait as long.
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


class Xid8(UserDefinedType[int]):
    """Postgres' 64-bit transaction id, which never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


ischema_names["xid8"] = Xid8

LIVE_ID = "CASE WHEN deleted_at IS NULL THEN id END"


def live_id() -> Column[Any]:
    """The id while the row is not deleted. A `used` column of another table refers to it, so that
    the database itself refuses to delete a row that is in use, and to use one that is deleted."""
    return Column("live_id", Uuid, Computed(LIVE_ID, persisted=True), unique=True)


def used(name: str, condition: str, refers_to: str, of: str) -> tuple[Column[Any], Index]:
    """A column that is `of` while `condition` holds and null otherwise, and its index."""
    value = f"CASE WHEN {condition} THEN {of} END"
    column: Column[Any] = Column(
        name, Uuid, Computed(value, persisted=True), ForeignKey(f"{refers_to}.live_id")
    )
    return column, Index(None, column, postgresql_where=text(f"{name} IS NOT NULL"))


def exempt(**reasons: str) -> dict[str, Any]:
    """The `info` of a column that is right although `store.kit.table_rules` would refuse it, and
    why: `no_use`, it names a location and does not keep it from being deleted; `no_bound`, it is
    text, and something else bounds it; `no_tenant`, it refers to a row that was looked at behind
    the wall before."""
    return {"exempt": reasons}


# Of a column that names the location where something happened.
HISTORY = exempt(no_use="what happened stays true where it happened")


def moment(name: str, *, nullable: bool = False, **rest: Any) -> Column[datetime]:
    """A column that holds a point in time; mandatory unless said otherwise."""
    return Column(name, DateTime(timezone=True), nullable=nullable, **rest)


def address_columns() -> list[Column[Any]]:
    """The columns of a postal address, with the same names in every table. `country` is an ISO
    3166-1 code of two letters, or a name in a person's own address."""
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
    long that takes. Earlier statements of the migration are committed by then, and if the migration
    is tried again it starts anew: so it may build several indexes, and do nothing else."""
    with op.get_context().autocommit_block():
        # It waits for transactions older than itself, and no session waits for it.
        op.execute("SET lock_timeout = 0")
        # An earlier try may have left an unfinished index, which the database never uses.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        kind = "UNIQUE INDEX" if unique else "INDEX"
        op.execute(f"CREATE {kind} CONCURRENTLY {name} {definition}")
        op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")


def drop_index_concurrently(op: Any, name: str) -> None:
    """Drops an index as `index_concurrently` builds one: no session waits, and the migration must
    do nothing else."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")


@dataclass(frozen=True, slots=True)
class Wall:
    """Who may do what with a table's rows: what `Table(..., info=...)` says, by one of the
    functions below. `app` and `host` are the rights that the two serving roles have.

    `rows` is the condition of those rows that the app role sees and writes, and `whose` names its
    policy; without one the table belongs to no tenant and has no row-level security. The host role,
    which serves all tenants, sees all rows. `public` is a condition under which others may read a
    row. `owner` names what functions that run as the schema's owner may do with every row (SELECT,
    ALL): the policies bind the owner, too. `further` has more policies, by what their names end in.
    """

    app: str
    host: str
    whose: str = ""
    rows: str = ""
    public: str = ""
    owner: str = ""
    further: Mapping[str, str] = field(default_factory=dict)


_WALL = "wall"
_ALL = "SELECT, INSERT, UPDATE, DELETE"


def of_tenant(
    *, app: str = _ALL, host: str = _ALL, key: str = "tenant_id", **rest: Any
) -> dict[str, Any]:
    """The `info` of a table whose rows are a tenant's: `key` is the column with the tenant, `rest`
    goes to Wall. An aggregate's tables, which only shard hosts write, take `app="SELECT"`."""
    return {_WALL: Wall(app, host, "tenant", f"{key} = {TENANT}", **rest)}


def of_caller(*, app: str, host: str) -> dict[str, Any]:
    """The `info` of a table whose `tenant_id` is a business, or where the caller acts for none the
    caller."""
    return {_WALL: Wall(app, host, "own", f"tenant_id = coalesce({TENANT}, {USER})")}


def of_person(*, app: str = _ALL) -> dict[str, Any]:
    """The `info` of a table whose rows are a person's and no business's: those of `user_id`."""
    return {_WALL: Wall(app, "", "own", f"user_id = {USER}")}


def of_nobody(*, app: str = "", host: str = "") -> dict[str, Any]:
    """The `info` of a table without row-level security, since its rows belong to no business and
    are read before the caller is identified, or by the runtime alone. A role without a right sees
    none of them."""
    return {_WALL: Wall(app, host)}


def wall_of(table: Table) -> Wall:
    """Raises ValueError if the table does not say who may do what with it."""
    if _WALL not in table.info:
        raise ValueError(f"{table.name} does not say who may do what with its rows (`info`)")
    wall: Wall = table.info[_WALL]
    return wall


def create_table(op: Any, name: str, *parts: SchemaItem, **rest: Any) -> None:
    """Creates a table in a migration, with its indexes and the wall that its `info` describes."""
    raise_wall(op, op.create_table(name, *parts, **rest))


def raise_wall(op: Executor, table: Table) -> None:
    """Creates what `wall_of` describes: rights, forced row-level security and its policies."""
    wall, name = wall_of(table), table.name
    for role, rights in ((APP_ROLE, wall.app), (HOST_ROLE, wall.host)):
        if rights:
            op.execute(f"GRANT {rights} ON {name} TO {role}")
    if not wall.rows:
        return
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    for policy, definition in policies_of(wall).items():
        op.execute(f"CREATE POLICY {name}_{policy} ON {name} {definition}")


def policies_of(wall: Wall) -> dict[str, str]:
    """The policies that a wall is made of, by what their names end in."""
    found = {}
    if wall.rows:
        found[wall.whose] = f"TO {APP_ROLE} USING ({wall.rows}) WITH CHECK ({wall.rows})"
    if wall.rows and wall.host:
        found["host"] = f"TO {HOST_ROLE} USING (true)"
    if wall.public:
        found["public"] = f"FOR SELECT TO {APP_ROLE} USING ({wall.public})"
    if wall.owner:
        found["owner"] = f"FOR {wall.owner} TO CURRENT_USER USING (true)"
    return found | dict(wall.further)


def function_for(op: Executor, role: str, signature: str, definition: str) -> None:
    """Makes a function that only `role` and its owner may call."""
    op.execute(definition)
    op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {role}")
