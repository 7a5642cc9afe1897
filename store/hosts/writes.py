"""What the shard hosts write, from the tables: statement, arrays, casts and keys. A row has a value
for each of a write's columns, in the table's order: times in ms since the epoch, JSON as text.

A row that is there is written over by its own tenant alone and, where the table has a `sequence`,
only by a later one: a host that has missed a change has not read it, and its batch is stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Table, types
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from store.hosts.batches import Write

_SCALARS: tuple[tuple[type[types.TypeEngine[Any]], str], ...] = (
    (types.Uuid, "uuid"),
    (types.BigInteger, "bigint"),  # before what it is a kind of
    (types.Integer, "int"),
    (types.Boolean, "bool"),
    (types.LargeBinary, "bytea"),
    (types.String, "text"),
)


def insert(
    table: Table,
    columns: Sequence[str] = (),
    *,
    without: Sequence[str] = (),
    unless_there: bool = False,
) -> Write:
    """New rows, of all columns that the database does not compute but those in `without`, or of
    `columns` alone. With `unless_there` a row that is there stays as it is, which makes the batch
    stale. Raises ValueError when nothing would fill a column that is left out."""
    chosen = _chosen(table, columns, without)
    for column in table.c:
        if column not in chosen and not (_is_filled(column) or column.nullable):
            raise ValueError(f"{table.name}: nothing fills {column.name}")
    return _write(_inserted(table, chosen) + " ON CONFLICT DO NOTHING" * unless_there, chosen)


def upsert(table: Table, *, keep: Sequence[str] = ()) -> Write:
    """Rows of all columns that the database does not compute: new ones, or in place of what is
    there, which keeps its key, its tenant and what `keep` names."""
    chosen = _chosen(table)
    changed = _changed(table, chosen, keep)
    sets = ", ".join(f"{name} = excluded.{name}" for name in changed)
    guards = ["t.tenant_id = excluded.tenant_id"]
    if "sequence" in changed:
        guards.append("t.sequence < excluded.sequence")
    tail = f" ON CONFLICT ({', '.join(_key(table))}) DO UPDATE SET {sets}"
    return _write(f"{_inserted(table, chosen)}{tail} WHERE {' AND '.join(guards)}", chosen)


def update(table: Table, columns: Sequence[str] = (), *, keep: Sequence[str] = ()) -> Write:
    """Changes rows that are there, of which one that is missing makes the batch stale. They are
    found by their key, and their tenant if it is among the columns; they keep those, and what
    `keep` names."""
    chosen = _chosen(table, columns)
    changed = _changed(table, chosen, keep)
    sets = ", ".join(f"{name} = {_stored(table.c[name])}" for name in changed)
    own = [name for name in ("tenant_id",) if table.c[name] in chosen]
    guards = [f"t.{name} = r.{name}" for name in (*_key(table), *own)]
    if "sequence" in changed:
        guards.append("t.sequence < r.sequence")
    where = " AND ".join(guards)
    return _write(f"UPDATE {table.name} AS t SET {sets} {_source(chosen)} WHERE {where}", chosen)  # noqa: S608


def _write(statement: str, chosen: Sequence[Column[Any]]) -> Write:
    arrays = frozenset(column.name for column in chosen if isinstance(column.type, ARRAY))
    return Write(statement, tuple(column.name for column in chosen), arrays)


def _inserted(table: Table, chosen: Sequence[Column[Any]]) -> str:
    names = ", ".join(column.name for column in chosen)
    values = ", ".join(map(_stored, chosen))
    return f"INSERT INTO {table.name} AS t ({names}) SELECT {values} {_source(chosen)}"


def _source(chosen: Sequence[Column[Any]]) -> str:
    arrays = ", ".join(f"${place}::{_travels(c)}[]" for place, c in enumerate(chosen, 1))
    return f"FROM unnest({arrays}) AS r({', '.join(column.name for column in chosen)})"


def _chosen(
    table: Table, names: Sequence[str] = (), without: Sequence[str] = ()
) -> list[Column[Any]]:
    """Raises ValueError for a name that is no column's."""
    if unknown := {*names, *without} - set(table.c.keys()):
        raise ValueError(f"{table.name} has no {unknown}")
    wanted = names or [column.name for column in table.c if is_written(column)]
    return [column for column in table.c if column.name in set(wanted) - set(without)]


def _changed(table: Table, chosen: Sequence[Column[Any]], keep: Sequence[str]) -> list[str]:
    kept = {*_key(table), "tenant_id", *keep}
    if unknown := set(keep) - {column.name for column in chosen}:
        raise ValueError(f"{table.name}: {unknown} would not be written anyway")
    return [column.name for column in chosen if column.name not in kept]


def _key(table: Table) -> list[str]:
    return table.primary_key.columns.keys()


def is_written(column: Column[Any]) -> bool:
    """Whether it is ours to write: the database neither computes nor stamps it."""
    return column.computed is None and "stamped" not in column.info


def _is_filled(column: Column[Any]) -> bool:
    """Whether the database has a value for it."""
    return column.computed is not None or column.server_default is not None


def _travels(column: Column[Any]) -> str:
    """The type of its values on their way, of which an array is made."""
    if isinstance(column.type, types.DateTime):
        return "bigint"
    # Arrays of arrays do not unnest by rows.
    return "text" if isinstance(column.type, JSONB | ARRAY) else _scalar(column.type)


def _stored(column: Column[Any]) -> str:
    value = f"r.{column.name}"
    if isinstance(column.type, types.DateTime):
        return f"to_timestamp({value} / 1000.0)"
    if isinstance(column.type, ARRAY):
        return f"{value}::{_scalar(column.type.item_type)}[]"
    return f"{value}::jsonb" if isinstance(column.type, JSONB) else value


def _scalar(kind: types.TypeEngine[Any]) -> str:
    """Raises ValueError for a type of which nobody knows how it travels."""
    for known, name in _SCALARS:
        if isinstance(kind, known):
            return name
    raise ValueError(f"nobody knows how {kind!r} travels")
