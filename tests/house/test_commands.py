"""Commands that need the database alone, and what `make` and CI promise to run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import asyncpg

from core.settings import Settings

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"


def _holdfast(
    settings: Settings, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        env={"HOLDFAST_HOME": str(settings.home_path), **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )


async def _roles(settings: Settings, email: str) -> list[str]:
    connection = await asyncpg.connect(settings.owner_database_url, timeout=10)
    try:
        rows = await connection.fetch("SELECT role FROM users WHERE email = $1", email)
        return [row["role"] for row in rows]
    finally:
        await connection.close()


def test_migrating_twice_is_migrating_once(embedded: Settings) -> None:
    for _ in range(2):
        result = _holdfast(embedded, "migrate")
        assert result.returncode == 0, result.stderr


async def test_an_administrator_is_made_once(embedded: Settings) -> None:
    create = ["admin", "create", "--email", "root@example.com"]
    made = _holdfast(embedded, *create, HOLDFAST_ADMIN_PASSWORD=PASSWORD)
    assert made.returncode == 0, made.stderr
    assert PASSWORD not in made.stdout
    assert await _roles(embedded, "root@example.com") == ["admin"]
    again = _holdfast(embedded, *create, HOLDFAST_ADMIN_PASSWORD=PASSWORD)
    assert again.returncode == 1
    assert "e-mail address" in again.stderr
    weak = _holdfast(embedded, *create, HOLDFAST_ADMIN_PASSWORD="1")
    assert weak.returncode == 1
    assert "password" in weak.stderr


def test_make_lists_what_it_can_do() -> None:
    listed = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout
    for target in ("run", "demo", "test", "quick", "coverage", "check", "bench", "clean"):
        assert f"make {target} " in listed


def test_ci_checks_then_tests() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert "for target in check test; do" in script


def test_the_lock_names_hashes_and_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "--index-url" not in lock
    assert "://" not in lock
    pinned = [line for line in lock.splitlines() if line[:1].isalnum()]
    assert pinned
    assert all("==" in line for line in pinned)
    assert lock.count("--hash=sha256:") >= len(pinned)
