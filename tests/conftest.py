"""Fixtures that every folder of tests may use: real servers, in a home of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import Settings
from store import migrate
from store.embedded import running


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a fresh home whose Postgres (migrated) and Valkey run for the whole session."""
    settings = fresh_settings(tmp_path_factory.mktemp("home"))
    with running(settings):
        migrate.upgrade(settings.owner_database_url)
        yield settings


def fresh_settings(home: Path, **changes: object) -> Settings:
    """Settings of the copy that lives in `home`, whatever servers the caller's shell names."""
    return Settings.model_validate(
        {"home": home, "database_url": None, "redis_url": None, **changes}
    )
