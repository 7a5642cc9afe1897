"""How states of aggregates are read: what a reading's columns are called and made of, from the
tables. As in writes, times are in ms since the epoch, and JSON is text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table, types
from sqlalchemy.dialects.postgresql import JSONB

from store.hosts.writes import is_written

Columns = list[list[Any]]

# What a reading by id looks for: $1 ids, $2 tenants.
WANTED = "unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k(id, tenant, n)"


def ids_and_tenants(keys: Sequence[Any]) -> Columns:
    """The arguments of a reading by id: $1 ids, $2 tenants."""
    return [[key.id for key in keys], [key.tenant_id for key in keys]]


class Read(NamedTuple):
    """`statement` takes one array per column of `arguments(keys)`, `unnest`ed WITH ORDINALITY.
    Each row begins with that ordinal, which names its key, and holds `columns` from there on."""

    statement: str
    columns: tuple[str, ...]
    arguments: Callable[[Sequence[Any]], Columns] = ids_and_tenants


def reading(
    columns: Mapping[str, str],
    source: str,
    arguments: Callable[[Sequence[Any]], Columns] = ids_and_tenants,
) -> Read:
    """Reads `columns`, each what its name stands for, from `source`, which calls what is wanted
    `k` and its ordinal `n`."""
    shown = ", ".join(f"{value} AS {name}" for name, value in columns.items())
    return Read(f"SELECT k.n, {shown} FROM {source}", tuple(columns), arguments)  # noqa: S608


def by_id(table: Table) -> Read:
    """Reads rows as they are written: all that the database does not compute, by their id."""
    source = f"{table.name} t JOIN {WANTED} ON t.id = k.id AND t.tenant_id = k.tenant"
    return reading(columns_of(table, "t"), source)


def columns_of(
    table: Table, alias: str, names: Sequence[str] = (), prefix: str = ""
) -> dict[str, str]:
    """What a reading shows of a table: all that the database does not compute, or `names`, called
    as in the table, with `prefix` before it. Raises KeyError for a name that is no column's."""
    stored = [column.name for column in table.c if is_written(column)]
    return {prefix + name: _shown(table, alias, name) for name in names or stored}


def _shown(table: Table, alias: str, name: str) -> str:
    kind = table.c[name].type
    if isinstance(kind, types.DateTime):
        return f"(extract(epoch FROM {alias}.{name}) * 1000)::bigint"
    return f"{alias}.{name}::text" if isinstance(kind, JSONB) else f"{alias}.{name}"
