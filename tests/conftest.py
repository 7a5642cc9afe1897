"""Fixtures that every folder of tests may use: real servers, in a home of their own."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.settings import Settings
from store.embedded import running
from store.kit import migrate

pytest_plugins = ("tests.promises",)

TEMPORARY = "holdfast-tests-"
KEPT_SECONDS = 86_400.0
_ROOT = "PYTEST_DEBUG_TEMPROOT"
_failed = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Gives the session a temporary folder of its own. All sessions of a user would share one,
    and each that starts shuts it to everyone else: as root that would lock Postgres, which runs
    as another user, out of the homes of those that run already."""
    root = os.environ.get(_ROOT) or tempfile.gettempdir()
    for earlier in Path(root).glob(f"{TEMPORARY}*"):
        with suppress(FileNotFoundError):  # another session was quicker
            if time.time() - earlier.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(earlier, ignore_errors=True)
    folder = os.environ[_ROOT] = tempfile.mkdtemp(prefix=TEMPORARY, dir=root)
    config.add_cleanup(lambda: _put_away(config, Path(folder)))


def pytest_collection_finish() -> None:
    """What has been imported by now stays: each full round of the collector's would look through
    it for a fifth of a second."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_failed] = bool(exitstatus)


def _put_away(config: pytest.Config, folder: Path) -> None:
    """What a failed session leaves is kept for a day: logs may tell why."""
    os.environ[_ROOT] = str(folder.parent)
    if not config.stash.get(_failed, True):
        shutil.rmtree(folder, ignore_errors=True)


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
