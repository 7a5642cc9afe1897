"""Brings a database to the schema of this build, and tells whether models and schema agree."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

import store
from store.schema import metadata

T = TypeVar("T")
PARTITION = re.compile(r"_(p\d{8}|default)$|^alembic_version$")
_LOCK = 0x486F6C64  # "Hold": one migration at a time, whoever starts it


def all_tables() -> MetaData:
    """The MetaData with every capability's tables on it."""
    for module in pkgutil.iter_modules(store.__path__):
        if not module.ispkg:
            importlib.import_module(f"store.{module.name}")
    return metadata


def upgrade(url: str) -> None:
    """Applies every migration that `url` (as the schema's owner) lacks. Safe to run twice and
    from two machines at once; blocks, so call it outside any event loop."""
    asyncio.run(_with_connection(url, _upgrade))


def differences(url: str) -> list[Any]:
    """What the tables in code have that the migrated database has not, or the reverse."""
    return asyncio.run(_with_connection(url, _differences))


async def _with_connection(url: str, work: Callable[[Connection], T]) -> T:
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
    connection.commit()
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_object": _is_ours}
    )
    return list(compare_metadata(context, all_tables()))


def _is_ours(item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
    """Daily partitions come and go at run time; no model declares them."""
    return not (kind == "table" and reflected and name and PARTITION.search(name))
