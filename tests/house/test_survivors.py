"""Who goes on when Ray itself has died, and until when."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli.supervisor.front_door import outgoing_file
from cli.supervisor.journal import Journal
from cli.supervisor.survivors import Survivors
from core.ray_environment import haproxy_dir
from core.settings import Settings
from store.embedded.server import TAG_VARIABLE, ensure_run_dir, tag
from tests.conftest import fresh_settings

SERVING = ("ray::ServeReplica:holdfast:api", "ray::HostActor", "/x/haproxy.cfg")
OTHERS = ("/raylet/raylet", "/gcs/gcs_server", "ray::ServeController", "ray::HAProxyManager")

Named = dict[str, subprocess.Popen[bytes]]


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    settings = fresh_settings(tmp_path / "home")
    ensure_run_dir(settings)
    haproxy_dir(settings).mkdir(exist_ok=True)
    return settings


@pytest.fixture
def survivors(home: Settings) -> Survivors:
    return Survivors(home, Journal(home.home_path / "logs"))


@pytest.fixture
def processes(home: Settings) -> Iterator[Named]:
    """A process of the copy for each of these names."""
    code = "print(flush=True); import time; time.sleep(60)"
    with ExitStack() as stack:
        started: Named = {}
        for name in (*SERVING, *OTHERS):
            one = subprocess.Popen(
                [sys.executable, "-c", code, name],
                env={TAG_VARIABLE: tag(home, "ray")},
                stdout=subprocess.PIPE,
            )
            started[name] = stack.enter_context(one)
            stack.callback(one.kill)
            assert one.stdout
            one.stdout.readline()
        yield started


def test_who_serves_goes_on_until_haproxy_is_relieved(
    home: Settings, survivors: Survivors, processes: Named
) -> None:
    assert not survivors
    assert survivors.part()
    assert all(processes[name].wait(5) for name in OTHERS)
    assert survivors
    survivors.introduce()
    haproxy = processes["/x/haproxy.cfg"]
    assert outgoing_file(haproxy_dir(home)).read_text() == str(haproxy.pid)
    survivors.tick()
    assert all(processes[name].poll() is None for name in SERVING)
    haproxy.kill()
    haproxy.wait()
    survivors.tick()
    assert all(processes[name].wait(5) for name in SERVING)
    assert not survivors


def test_who_is_never_relieved_does_not_stay_for_good(
    survivors: Survivors, processes: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert survivors.part()
    survivors.tick()
    monkeypatch.setattr("cli.supervisor.survivors._PATIENCE_SECONDS", 0.0)
    survivors.tick()
    assert all(processes[name].wait(5) for name in SERVING)


def test_where_there_is_no_room_all_is_begun_anew(
    survivors: Survivors, processes: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.supervisor.survivors._ROOM_BYTES", 1 << 60)
    assert not survivors.part()
    assert all(processes[name].poll() is None for name in OTHERS), (
        "left to the caller, which ends all"
    )
    survivors.end()
    assert all(process.wait(5) for process in processes.values())
