"""How far a database's schema has come, as those who serve ask before they use it: what runs came
back as the code that is installed by then, while the schema may still be of the build before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg

_MIGRATIONS = Path(__file__).parents[1] / "migrations" / "versions"
# The last migration of the code that this process has loaded. It is found once: what lies on the
# disk later belongs to a later build.
HEAD = max(path.stem for path in _MIGRATIONS.glob("[0-9]*.py"))

_UNREADABLE = (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError)


class SchemaIsOlder(ConnectionError):
    """The schema is older than this build. For the users of a connection it is as if the server
    were away, until a migration has run."""


def is_below(found: str | None, head: str = HEAD) -> bool:
    """Whether a database at the migration `found` lacks `head`: the number leads each one's name,
    and a younger build's are higher."""
    return found is None or found[:4] < head[:4]


async def current(connection: Any) -> str | None:
    """The migration that a database stands at, on a connection of the driver's; None where that may
    not be read: 0045 is the first that lets every role read it."""
    try:
        found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except _UNREADABLE:
        return None
    return found


async def check_reached(connection: Any, head: str = HEAD) -> None:
    """Raises SchemaIsOlder where the database lacks `head`."""
    if is_below(found := await current(connection), head):
        raise SchemaIsOlder(older_than(head, found))


def older_than(head: str, found: str | None) -> str:
    """What to tell people of a database that lacks `head`."""
    at = f"at migration {found}" if found else "older than any that may be asked for its migrations"
    return (
        f"The database is {at}, and this build needs {head}: processes of this build wait for"
        " `holdfast deploy` or `holdfast migrate`, and then go on."
    )
