"""Brings a database to the schema of this build, and reports whether models and schema agree."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

import store
from store.kit.connect import connect
from store.kit.engine import sqlstate
from store.kit.expanding import breaks, imports
from store.kit.schema import LOCK_TIMEOUT, metadata
from store.kit.walls import wall_differences

T = TypeVar("T")
PARTITION = re.compile(r"_(p\d{8}|default)$|^alembic_version$")
_LOCK = 0x486F6C64  # "Hold": one migration at a time, whichever process starts it
_PATIENCE_SECONDS = 300.0
_PAUSE_SECONDS = 1.0
_BUSY = ("55P03", "40P01")  # a lock was not free in time, or waiting for it became a deadlock


class MigrationBlocked(RuntimeError):
    """Another session held a lock that a migration needs, for as long as the migration waited."""


class UnknownMigration(RuntimeError):
    """The database stands at a migration that this build does not have."""


class DatabaseIsYounger(UnknownMigration):
    """A younger build has migrated the database, in ways that this one does not know."""


class DatabaseIsOlder(UnknownMigration):
    """The database stands at a migration that was gathered into a baseline since, and not at the
    last of them: a build that still has them must bring it there first."""


def all_tables() -> MetaData:
    """The MetaData with every capability's tables on it."""
    for module in pkgutil.walk_packages(store.__path__, "store."):
        importlib.import_module(module.name)
    return metadata


def upgrade(url: str, revision: str = "head") -> None:
    """Applies every migration up to `revision` that `url` (as the schema's owner) lacks. Safe to
    run twice, from two machines at once, and while others write: a session that waits for a lock
    makes all wait that come after, so a migration gives up after a tenth of a second, and tries
    again.

    A database from before the baseline counts as migrated up to it, if it stood at the last
    migration of that time.

    Blocks, so call it outside any event loop. Raises MigrationBlocked after five minutes, and
    DatabaseIsYounger or DatabaseIsOlder where the database knows a migration that we do not."""
    asyncio.run(_with_connection(url, partial(_upgrade, revision)))


def differences(url: str) -> list[Any]:
    """What the tables in code have that the migrated database has not, or the reverse: columns and
    indexes, or if these agree rights and policies."""
    return asyncio.run(_with_connection(url, _differences))


def rule_breaks() -> list[str]:
    """The statements of migrations with which the build before them would fail, and imports of
    what will not stay as it is; needs no database."""
    scripts = ScriptDirectory.from_config(_config())
    return imports(scripts) or breaks(scripts, all_tables())


async def _with_connection(url: str, work: Callable[[Connection], T]) -> T:
    connected = partial(connect, url, application_name="holdfast-migrate")
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connected, poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _upgrade(revision: str, connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    _check_age(connection, config)
    patient_until = time.monotonic() + _PATIENCE_SECONDS
    while not _try_upgrade(connection, config, revision):
        if time.monotonic() > patient_until:
            raise MigrationBlocked(_who_blocks(connection))
        time.sleep(_PAUSE_SECONDS)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(store.__path__[0]) / "migrations"))
    return config


def _check_age(connection: Connection, config: Config) -> None:
    """Raises DatabaseIsYounger or DatabaseIsOlder where no chain of migrations leads on from the
    database's. Numbers of migrations are never given twice, so one that is lower than all of this
    build is of the past."""
    known = _revisions(config)
    reached = known | _replaced(config).keys()
    found = set(MigrationContext.configure(connection).get_current_heads())
    connection.rollback()
    unknown = found - reached
    if not unknown:
        return
    listed = ", ".join(sorted(unknown))
    if max(unknown) < min(known):
        ends = ", ".join(_replaced(config))
        raise DatabaseIsOlder(
            f"the database is at migration {listed}, which this build has no more: an earlier"
            f" build, which knows {ends}, has to migrate it first"
        )
    raise DatabaseIsYounger(
        f"the database is at migration {listed}, which this build does not know: it belongs to a"
        " younger build"
    )


def _revisions(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


def _replaced(config: Config) -> dict[str, str]:
    """The last migration of a baseline, by the last migration of the chain that it was made of: it
    names that one as `REPLACES`, because both leave the same schema."""
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    return {
        script.module.REPLACES: script.revision
        for script in scripts
        if hasattr(script.module, "REPLACES")
    }


def _enter_baseline(connection: Connection, config: Config) -> None:
    """Marks a database at the end of an earlier chain as being at the end of the baseline that was
    made of that chain. From there it goes on like any other."""
    if MigrationContext.configure(connection).get_current_heads():
        for earlier, baseline in _replaced(config).items():
            connection.execute(
                text("UPDATE alembic_version SET version_num = :now WHERE version_num = :then"),
                {"now": baseline, "then": earlier},
            )
    connection.commit()


def _try_upgrade(connection: Connection, config: Config, revision: str) -> bool:
    """Whether all migrations are done; those that were done before one was blocked stay."""
    # Tried rather than waited for: other sessions wait for a transaction that waits.
    if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        connection.rollback()
        return False
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.commit()
    done = True
    try:
        _enter_baseline(connection, config)
        command.upgrade(config, revision)
        if revision == "head":
            # A database that was not used for weeks lacks the coming days, and may lack this one.
            connection.execute(text("SELECT rotate_command_log()"))
    except DBAPIError as error:
        connection.rollback()
        if sqlstate(error) not in _BUSY:
            raise
        done = False
    connection.commit()
    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
    connection.commit()
    return done


def _who_blocks(connection: Connection) -> str:
    rows = connection.execute(
        text(
            "SELECT pid, application_name, extract(epoch FROM now() - xact_start)::int"
            " FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
            " AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 3"
        )
    )
    named = [f"{name or 'somebody'} (pid {pid}, for {seconds} s)" for pid, name, seconds in rows]
    return (
        "a migration could not have its locks, or another one is at work; the oldest"
        f" transactions are of {', '.join(named) or 'nobody that may be seen'}"
    )


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_object": _is_ours}
    )
    tables = all_tables()
    differing = list(compare_metadata(context, tables))
    # A table that is missing has no walls to compare.
    return differing or wall_differences(connection, tables.sorted_tables)


def _is_ours(item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
    """Daily partitions come and go at run time; no model declares them."""
    return not (kind == "table" and reflected and name and PARTITION.search(name))
