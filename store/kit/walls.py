"""Whether the database lets each role do with a table what the table itself says."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Table, text

from store.kit.schema import APP_ROLE, HOST_ROLE, raise_wall

_EXPECTED = "expected_walls"
# How Postgres writes the grantee of a right that is granted to PUBLIC.
_EVERYBODY = "-"
# Each fact about a wall as a row whose first two columns are the table and the kind of fact.
_FACTS = """
SELECT tablename, 'policy', policyname, cmd,
    CASE WHEN roles = ARRAY[tableowner] AND tableowner <> ALL (CAST(:roles AS text[]))
      THEN 'owner' ELSE CAST(roles AS text) END, qual, with_check
  FROM pg_policies JOIN pg_tables USING (schemaname, tablename) WHERE schemaname = :schema
UNION ALL
SELECT relname, 'row security', 'on', NULL, NULL, NULL, NULL FROM pg_class
  WHERE relnamespace = CAST(:schema AS regnamespace) AND relrowsecurity AND relforcerowsecurity
UNION ALL
SELECT relname, 'right', privilege_type, CAST(CAST(grantee AS regrole) AS text), NULL, NULL, NULL
  FROM pg_class, aclexplode(relacl)
  WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind IN ('r', 'p')
    AND CAST(CAST(grantee AS regrole) AS text) = ANY (CAST(:roles AS text[]))
UNION ALL
SELECT relname, 'right', privilege_type, CAST(CAST(grantee AS regrole) AS text), attname, NULL, NULL
  FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid, aclexplode(attacl)
  WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind IN ('r', 'p')
    AND CAST(CAST(grantee AS regrole) AS text) = ANY (CAST(:roles AS text[]))
"""


def wall_differences(connection: Connection, tables: Iterable[Table]) -> list[Any]:
    """Rights and policies that the tables' own `info` describes and the database lacks, and the
    reverse: ("add" or "remove", table, kind of fact, ...). Both are put into the database's own
    words: the walls are raised once more, around empty copies in a transaction that leaves nothing.

    Rolls back what `connection` has not committed. Raises ValueError for a table without a wall."""
    names = {table.name for table in tables}
    try:
        found = _facts(connection, "public")
        connection.execute(text(f"CREATE SCHEMA {_EXPECTED}"))
        for table in tables:
            copy = f"CREATE TABLE {_EXPECTED}.{table.name} (LIKE public.{table.name})"
            connection.execute(text(copy))
        connection.execute(text(f"SET LOCAL search_path = {_EXPECTED}"))
        operations = SimpleNamespace(execute=connection.exec_driver_sql)
        for table in tables:
            raise_wall(operations, table)
        expected = _facts(connection, _EXPECTED)
    finally:
        connection.rollback()
    missing = [("add", *fact) for fact in expected - found]
    further = [("remove", *fact) for fact in found - expected if fact[0] in names]
    return sorted(missing + further, key=str)


def _facts(connection: Connection, schema: str) -> set[tuple[Any, ...]]:
    said = {"schema": schema, "roles": [APP_ROLE, HOST_ROLE, _EVERYBODY]}
    return {tuple(row) for row in connection.execute(text(_FACTS), said)}
