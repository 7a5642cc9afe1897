"""What dies at each start is started ever more seldom, and callers hear of it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli.operator import deploy as deploying
from cli.operator.doctor import _supervisor
from cli.supervisor.journal import Journal
from cli.supervisor.ray_service import RayService
from cli.supervisor.restarts import restarts
from tests.conftest import fresh_settings

TICK_SECONDS = 0.2
HOUR_SECONDS = 3_600


def test_a_ray_that_dies_at_each_start_is_started_ever_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An hour, on a clock of its own."""
    home = fresh_settings(tmp_path / "home")
    now = 1_000.0
    starts: list[float] = []

    def spawn(*_: object) -> subprocess.Popen[bytes]:
        starts.append(now)
        child = subprocess.Popen(["false"], stdin=subprocess.PIPE, bufsize=0)
        child.wait()
        return child

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr("cli.supervisor.ray_service.ray_node.prepare", lambda _: {})
    monkeypatch.setattr("cli.supervisor.survivors.end_tagged", lambda *_: 0)
    monkeypatch.setattr("cli.supervisor.ray_service.tagged", lambda *_: [])
    monkeypatch.setattr(RayService, "_spawn", spawn)
    ray = RayService(home, Journal(home.home_path / "logs"), may_deploy=lambda: True)
    while now < 1_000 + HOUR_SECONDS:
        ray.tick()
        now += TICK_SECONDS
    assert starts[1] - starts[0] < 1, "a first failure is tried again at once"
    assert len(starts) < HOUR_SECONDS / 60 + 15
    assert starts[-1] - starts[-2] == pytest.approx(60, abs=1)
    assert "starting Ray again in 60 s. That was failure" in capsys.readouterr().out
    found = restarts(home.home_path)
    assert found
    assert found.failures >= len(starts) - 1
    finding = _supervisor(home)[0]
    assert finding.verdict == "wrong"
    assert finding.said.startswith("Ray did not start")


def _write(home: Path, *notes: tuple[str, dict[str, Any]], ago: timedelta = timedelta(0)) -> None:
    at = (datetime.now(UTC) - ago).isoformat()
    (home / "logs").mkdir(parents=True, exist_ok=True)
    with (home / "logs" / "supervisor.log").open("a") as log:
        for event, fields in notes:
            log.write(json.dumps({"timestamp": at, "event": event, **fields}) + "\n")


def test_doctor_tells_of_restarts(tmp_path: Path) -> None:
    home = fresh_settings(tmp_path / "home")
    assert _supervisor(home) == []
    _write(home.home_path, ("ray_failed", {"why": "Ray lost the raylet"}), ("deployed", {}))
    assert _supervisor(home)[0].verdict == "well"
    _write(home.home_path, *[("tick_failed", {}), ("suspended", {}), ("stopgap", {})] * 4)
    assert _supervisor(home)[0].verdict == "well", "nothing of that is a restart"
    assert "servers 0 times" in _supervisor(home)[0].said
    _write(home.home_path, *[("Postgres_died", {}), ("gcs", {})] * 2)
    assert _supervisor(home)[0].verdict == "wrong"
    _write(home.home_path, ("stopping", {}), ("stopped", {}))
    assert _supervisor(home) == []


def test_what_was_long_ago_is_over(tmp_path: Path) -> None:
    home = fresh_settings(tmp_path / "home")
    failed = ("ray_failed", {"why": "Ray lost the raylet", "failures": 1})
    _write(home.home_path, *[failed, ("deployed", {})] * 9, ago=timedelta(hours=2))
    finding = _supervisor(home)[0]
    assert finding.verdict == "well"
    assert "Ray again 0 times, servers 0 times" in finding.said
    _write(home.home_path, failed, ago=timedelta(hours=2))
    assert _supervisor(home)[0].verdict == "wrong", "it has not come back since"


def test_a_ray_that_starts_is_not_up(tmp_path: Path) -> None:
    home = fresh_settings(tmp_path / "home").home_path
    for event, is_up in (
        ("ray_starting", False),
        ("ray_started", False),
        ("deployed", True),
        ("tick_failed", True),
        ("ray_failed", False),
        ("ray_starting", False),
        ("deployed", True),
    ):
        _write(home, (event, {"why": "Ray lost the raylet"}))
        found = restarts(home)
        assert found
        assert found.is_up is is_up, event


def test_a_deploy_ends_with_the_ray_that_it_was_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and leaves nothing that waits for a Ray that is gone."""
    home = fresh_settings(tmp_path / "home")
    started = tmp_path / "started"
    code = f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setattr(deploying, "_COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(deploying, "running_supervisor", lambda _: object())
    monkeypatch.setattr(deploying.servers, "prepare", lambda *_: [])
    with pytest.raises(deploying.NotDeployed, match="not done"):
        monkeypatch.setattr(deploying, "_TIMEOUT_SECONDS", 0.0)
        deploying.deploy(home)
    monkeypatch.setattr(deploying, "_TIMEOUT_SECONDS", 30.0)
    _write(home.home_path, ("ray_starting", {}))
    with pytest.raises(deploying.NotDeployed, match="Ray is starting: deploy again"):
        deploying.deploy(home)
    _write(home.home_path, ("deployed", {}))
    started.unlink(missing_ok=True)

    def lose() -> None:
        while not started.exists() or not started.read_text():
            time.sleep(0.01)
        _write(home.home_path, ("ray_failed", {"why": "Ray lost the raylet"}))

    thread = threading.Thread(target=lose)
    thread.start()
    with pytest.raises(deploying.NotDeployed, match="Ray lost the raylet; Ray is being started"):
        deploying.deploy(home)
    thread.join()
    assert not psutil.pid_exists(int(started.read_text()))
