"""What stands still is ended, for its parent to start it again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from cli.supervisor.journal import MAX_LOG_BYTES, Journal
from cli.supervisor.suspended import Suspended
from core.settings import Settings
from store.embedded.leftovers import is_alive
from store.embedded.server import TAG_VARIABLE, tag
from tests.api.shop import Shop, open_shop
from tests.conftest import fresh_settings
from tests.stack import Stack

PATIENCE_SECONDS = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return fresh_settings(tmp_path / "home")


@pytest.fixture
def watcher(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Suspended:
    monkeypatch.setattr("cli.supervisor.suspended._LOOK_EVERY_SECONDS", 0.0)
    return Suspended(home, Journal(home.home_path / "logs"))


@pytest.fixture
def sleeper(home: Settings) -> Iterator[subprocess.Popen[bytes]]:
    with _sleep(home) as process:
        yield process
        process.kill()


def _sleep(settings: Settings) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"],
        env={TAG_VARIABLE: tag(settings, "ray")},
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.readline()
    return process


def test_who_stands_still_is_ended_after_a_while(
    watcher: Suspended, sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    with _sleep(fresh_settings(tmp_path / "another")) as other:
        for process in (sleeper, other):
            process.send_signal(signal.SIGSTOP)
        _wait_until_stopped(sleeper.pid)
        for _ in range(3):
            watcher.tick()
        assert sleeper.poll() is None, "a short stop does no harm"
        watcher.tick()
        assert sleeper.wait(10) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


def test_who_goes_on_in_time_is_left_alone(
    watcher: Suspended, sleeper: subprocess.Popen[bytes]
) -> None:
    for _ in range(3):
        sleeper.send_signal(signal.SIGSTOP)
        _wait_until_stopped(sleeper.pid)
        for _ in range(3):
            watcher.tick()
        sleeper.send_signal(signal.SIGCONT)
        _wait_until_stopped(sleeper.pid, stopped=False)
        watcher.tick()
    assert sleeper.poll() is None


def test_whose_end_is_everybodys_is_told_to_go_on_first(watcher: Suspended, home: Settings) -> None:
    keystone = subprocess.Popen(
        ["sleep", "2147483647"], env={TAG_VARIABLE: tag(home, "ray"), "PATH": os.defpath}
    )
    try:
        keystone.send_signal(signal.SIGSTOP)
        _wait_until_stopped(keystone.pid)
        for _ in range(2):
            watcher.tick()
        _wait_until_stopped(keystone.pid, stopped=False)
        for _ in range(4):
            watcher.tick()
        assert keystone.poll() is None
        keystone.send_signal(signal.SIGSTOP)
        _wait_until_stopped(keystone.pid)
        for _ in range(2):
            watcher.tick()
        keystone.send_signal(signal.SIGSTOP)  # a second signal is intended
        for _ in range(2):
            watcher.tick()
        assert keystone.wait(10) == -signal.SIGKILL
    finally:
        keystone.kill()
        keystone.wait()


def test_a_note_that_cannot_be_written_is_no_error(home: Settings) -> None:
    logs = home.home_path / "logs"
    journal = Journal(logs)
    (logs / "supervisor.log").symlink_to("/dev/full")  # a write there fails with ENOSPC
    journal.note("lost")
    journal.say("Said all the same.", "said")


def test_a_log_is_cut_even_where_its_older_part_has_no_place(
    home: Settings,
) -> None:
    logs = home.home_path / "logs"
    journal = Journal(logs)
    long = logs / "postgres.log"
    with long.open("wb") as file:
        file.truncate(MAX_LOG_BYTES + 1)
    long.with_suffix(".log.1").symlink_to("/dev/full")
    journal.bound_logs()
    assert long.stat().st_size == 0
    assert not long.with_suffix(".log.1").exists()


async def test_hosts_keeper_haproxy_and_valkey_stand_still_at_once(
    copies: tuple[Stack, Stack],
) -> None:
    """Nobody is left to notice but the supervisor."""
    _, copy = copies
    await asyncio.to_thread(copy.wait_ready)
    async with open_shop(copy) as shop:
        product = await shop.product(5)
        still = [*copy.hosts(), *copy.keepers(), *copy.haproxies(), *copy.valkey()]
        assert len(still) >= 5
        for process in still:
            process.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await _reserves(shop, product):
                await asyncio.sleep(0.2)
        assert await shop.level(product) == (4, 5, 1)
    assert not any(is_alive(process) for process in still)


async def _reserves(shop: Shop, product: str) -> bool:
    try:
        line = {"productId": product, "quantity": 1}
        answer = await shop.owner.post("/api/inventory/reserve", line, key="still")
    except httpx2.HTTPError:
        return False
    return bool(answer.status_code < 300)


def _wait_until_stopped(pid: int, *, stopped: bool = True) -> None:
    deadline = time.monotonic() + 10
    while (_state(pid) == "T") is not stopped:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
