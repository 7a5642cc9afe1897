"""Who competes, and how each of them is started and stopped."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2

from bench.baselines.redis_counter import load_counters
from bench.cpu import Group, ray_groups, tree
from bench.ground import Ground, Kind
from core.settings import Settings
from store.embedded.leftovers import tagged

READY_TIMEOUT_SECONDS = 180.0
STOP_TIMEOUT_SECONDS = 15.0
TOKEN_TTL_SECONDS = 86_400
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Contender:
    """`module` is a baseline's; Holdfast has none. `durable` says what a reservation's answer has
    written, `durable_sale` what a sale's has; those without it sell nothing."""

    name: str
    title: str
    durable: str
    durable_sale: str | None = None
    module: str | None = None
    workers: int = 2
    kind: Kind = "baseline"


HOLDFAST = Contender(
    "holdfast",
    "Holdfast",
    "level, hold, ledger, command log, outbox",
    "levels, sale, lines, payment, drawer, receipt, ledger, command log, outbox",
    kind="holdfast",
)
_SALE = "levels, sale, lines, payment, drawer"
CONTENDERS = (
    HOLDFAST,
    Contender(
        "conditional",
        "conditional UPDATE",
        "level, hold",
        _SALE,
        module="bench.baselines.conditional",
    ),
    Contender(
        "one_statement",
        "conditional UPDATE, one statement",
        "level, hold",
        module="bench.baselines.one_statement",
    ),
    Contender("orm", "ORM, FOR UPDATE", "level, hold", _SALE, module="bench.baselines.orm"),
    Contender(
        "redis_counter",
        "Redis counter",
        "hold (level in Redis)",
        module="bench.baselines.redis_counter",
    ),
    Contender(
        "group_commit",
        "group commit in one process",
        "level, hold, ledger, command log, outbox",
        module="bench.baselines.group_commit",
        workers=1,
        kind="holdfast",
    ),
)


class NotReady(RuntimeError):
    """A contender did not start; the message says where its log is."""


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that answers at `url`, over a database of its own. `groups` finds its processes
    and the servers', by their part: as they are now, since connections come and go."""

    contender: Contender
    url: str
    database: str
    groups: Callable[[], Group]


@contextmanager
def serving(contender: Contender, ground: Ground, home: Path, port: int) -> Iterator[Running]:
    """Starts a contender on a fresh database and stops it when the block ends."""
    database = f"bench_{contender.name}"
    url = ground.fresh(database, contender.kind)
    settings = contender_settings(ground, home, port, url, contender)
    if contender.name == "redis_counter":
        asyncio.run(load_counters(settings))
    log = home / f"{contender.name}.log"
    process = _spawn(contender, settings, log)
    base_url = f"http://127.0.0.1:{port}"
    try:
        _wait_ready(process, base_url, log)
        groups = partial(_groups, contender, settings, ground, process.pid)
        yield Running(contender, base_url, database, groups)
    finally:
        _stop(process)
        ground.drop(database)


def contender_settings(
    ground: Ground, home: Path, port: int, database_url: str, contender: Contender
) -> Settings:
    """Settings of the process. All share one folder of signing keys, so one token serves all."""
    redis = ground.redis_url if contender is HOLDFAST else f"{ground.redis_url}?db=1"
    return Settings.model_validate(
        {
            "home": home,
            "port": port,
            "database_url": database_url,
            "redis_url": redis,
            "rate_limit": "off",
            "access_token_ttl_seconds": TOKEN_TTL_SECONDS,
        }
    )


def _spawn(contender: Contender, settings: Settings, log: Path) -> subprocess.Popen[bytes]:
    environment = dict(os.environ) | {
        "HOLDFAST_HOME": str(settings.home_path),
        "HOLDFAST_PORT": str(settings.port),
        "HOLDFAST_RATE_LIMIT": settings.rate_limit,
        "HOLDFAST_ACCESS_TOKEN_TTL_SECONDS": str(settings.access_token_ttl_seconds),
        "DATABASE_URL": str(settings.database_url),
        "REDIS_URL": str(settings.redis_url),
        "PYTHONPATH": str(_ROOT),
    }
    with log.open("ab") as output:
        return subprocess.Popen(
            _command(contender, settings.port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=_ROOT,
            env=environment,
            start_new_session=True,
        )


def _command(contender: Contender, port: int) -> list[str]:
    if contender.module is None:
        return [sys.executable, "-m", "cli.main", "up"]
    return [
        *(sys.executable, "-m", "uvicorn", "--factory", f"{contender.module}:app"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", str(contender.workers)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
    ]


def _wait_ready(process: subprocess.Popen[bytes], base_url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"{base_url}/ready", timeout=2).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise NotReady(f"it did not start in {READY_TIMEOUT_SECONDS:.0f} s; see {log}")


def _groups(contender: Contender, settings: Settings, ground: Ground, pid: int) -> Group:
    own = ray_groups(tagged(settings, "ray")) if contender is HOLDFAST else {"workers": tree(pid)}
    servers = ground.servers
    return own | {"Postgres": tree(servers.postgres.pid), "Valkey": tree(servers.valkey.pid)}


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
