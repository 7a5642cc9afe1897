"""What a build must agree on with itself: its models with its migrations, its API with the
description that is committed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from core.settings import Settings
from store.embedded import running
from store.kit import migrate


def migration_differences() -> list[Any]:
    """What migrations do that the build before them would not bear, or what the tables in code have
    that a freshly migrated database has not, or the reverse; empty if all is well. The latter is
    found out on an embedded server in a folder that is gone afterwards."""
    if found := migrate.rule_breaks():
        return found
    with tempfile.TemporaryDirectory(prefix="holdfast-check-") as folder:
        home = {"home": Path(folder), "database_url": None, "redis_url": None}
        settings = Settings.model_validate(home)
        with running(settings):
            migrate.upgrade(settings.owner_database_url)
            return migrate.differences(settings.owner_database_url)
