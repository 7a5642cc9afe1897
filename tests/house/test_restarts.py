"""What dies at each start is started ever more seldom, and whoever asks hears of it."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.doctor import _supervisor
from cli.journal import Journal
from cli.ray_service import RayService
from cli.restarts import restarts
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
    monkeypatch.setattr("cli.ray_service.ray_node.prepare", lambda _: {})
    monkeypatch.setattr("cli.survivors.end_tagged", lambda *_: 0)
    monkeypatch.setattr("cli.ray_service.tagged", lambda *_: [])
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
    _write(home.home_path, *[("Postgres_died", {})] * 4)
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
