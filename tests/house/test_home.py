"""One supervisor per home, free ports before a start, an environment that is this copy's own."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cli.supervisor.down import down
from cli.supervisor.home import HomeBusy, HomeLock, running_supervisor
from cli.supervisor.port_check import PortsBusy, check_ports
from cli.supervisor.ray_node import prepare
from cli.supervisor.ray_start import head_parameters, node_parameters
from cli.supervisor.services import Backoff
from cli.supervisor.up import UnusableHost, up
from core.ray_environment import haproxy_dir, ray_environment, token_path
from core.settings import Ports, Settings
from store.embedded.leftovers import end, everything, is_alive, tagged
from store.embedded.server import TAG_VARIABLE, tag
from tests.conftest import fresh_settings
from tests.stack import FIRST_PORT, STOP_TIMEOUT_SECONDS, copy_environment

PORT = FIRST_PORT + 800


def test_a_home_has_one_supervisor(home: Settings) -> None:
    with HomeLock(home) as lock:
        lock.write(home.port)
        supervisor = running_supervisor(home)
        assert supervisor is not None
        assert (supervisor.process.pid, supervisor.port) == (os.getpid(), PORT)
        with pytest.raises(HomeBusy, match="holdfast down"), HomeLock(home):
            pass
    assert running_supervisor(home) is None
    with HomeLock(home):
        pass


def test_a_pid_that_was_given_to_another_is_not_the_supervisor(home: Settings) -> None:
    home.home_path.mkdir()
    state = f'{{"pid": {os.getpid()}, "created": 1.0, "port": {PORT}}}'
    (home.home_path / "lock").write_text(state)
    assert running_supervisor(home) is None
    assert down(home).startswith("Nothing runs")


def test_a_port_in_use_is_named(home: Settings) -> None:
    check_ports(home.ports)
    with socket.create_server(("127.0.0.1", home.ports.haproxy_stats)):
        with pytest.raises(PortsBusy, match=str(home.ports.haproxy_stats)):
            check_ports(home.ports)
        with pytest.raises(PortsBusy, match="HOLDFAST_PORT"):
            up(home)
    check_ports(home.ports)


def test_a_host_that_serve_cannot_bind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableHost):
        up(fresh_settings(tmp_path, port=PORT, host="192.0.2.1"))


def test_ports_are_distinct_and_within_the_span() -> None:
    ports = Ports(PORT)
    numbers = list(vars(ports).values())
    assert len(set(numbers)) == len(numbers)
    assert min(numbers) == PORT
    assert max(numbers) < PORT + Ports.SPAN


def test_two_copies_share_no_port_file_or_folder(tmp_path: Path) -> None:
    one = fresh_settings(tmp_path / "one", port=PORT)
    two = fresh_settings(tmp_path / "two", port=PORT + Ports.SPAN)
    assert one.instance != two.instance
    first, second = ray_environment(one), ray_environment(two)
    for name, value in first.items():
        if "/" in value or name.endswith("_PORT"):
            assert value != second[name], name
    parameters, others = (head_parameters(copy) | node_parameters(copy) for copy in (one, two))
    for name, value in parameters.items():
        if name.endswith("_port") and not name.endswith("worker_port"):
            assert value != others[name], name


def test_what_opens_ray_is_for_this_user_alone(home: Settings) -> None:
    environment = prepare(home)
    token = token_path(home)
    assert environment["RAY_AUTH_TOKEN_PATH"] == str(token)
    assert environment["RAY_AUTH_MODE"] == "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) >= 32
    # HAProxy's admin socket is open to every process that reaches its folder.
    assert stat.S_IMODE(haproxy_dir(home).stat().st_mode) == 0o700
    first = token.read_text()
    prepare(home)
    assert token.read_text() == first


def test_leftovers_are_found_by_their_tag_and_ended(home: Settings, tmp_path: Path) -> None:
    other = fresh_settings(tmp_path / "other")
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    ours = subprocess.Popen(sleep, env={TAG_VARIABLE: tag(home, "ray")})
    theirs = subprocess.Popen(sleep, env={TAG_VARIABLE: tag(other, "ray")})
    try:
        found = _wait_for(lambda: tagged(home, "ray"))
        assert [process.pid for process in found] == [ours.pid]
        assert tagged(home, "postgres") == []
        assert end(found) == 1
        assert ours.wait(5) == -9
        assert is_alive(psutil.Process(theirs.pid))
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait(5)


def test_down_ends_what_a_killed_supervisor_left(home: Settings) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    left = subprocess.Popen(sleep, env={TAG_VARIABLE: tag(home, "ray")})
    try:
        _wait_for(lambda: tagged(home))
        assert down(home) == "Its supervisor was gone; ended 1 processes that it left."
        assert left.wait(5) == -9
    finally:
        left.kill()
        left.wait(5)


def test_backoff_tries_at_once_then_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    backoff = Backoff()
    tries = []
    for _ in range(300):
        if backoff.due():
            tries.append(now)
            backoff.failed()
        now += 0.1
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert tries[0] == 1_000.0
    assert pauses[0] == pytest.approx(0.1)
    assert pauses == pytest.approx(sorted(pauses))
    assert 4.9 < max(pauses) < 5.2
    now += 40  # that one lasted
    assert backoff.failed() == 0.0
    assert backoff.due()


def test_backoff_gets_over_an_outage_of_days() -> None:
    backoff = Backoff()
    pauses = [backoff.failed() for _ in range(20_000)]
    assert pauses[-1] == max(pauses) == 5.0
    assert backoff.failures == 20_000


def test_who_was_started_in_a_scripts_background_hears_a_stop(home: Settings) -> None:
    """Such a process starts with SIGINT ignored; and after `nohup` it outlives its terminal."""

    def ignore() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    arguments = [sys.executable, "-m", "cli.main", "up"]
    supervisor = subprocess.Popen(arguments, env=copy_environment(home), preexec_fn=ignore)
    try:
        _wait_for(lambda: everything(home), 60)
        supervisor.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            supervisor.wait(0.5)
        supervisor.send_signal(signal.SIGINT)
        assert supervisor.wait(STOP_TIMEOUT_SECONDS) == 0
        assert everything(home) == []
    finally:
        supervisor.kill()
        supervisor.wait(5)
        end(everything(home))


def _wait_for(find: object, seconds: int = 5) -> list[psutil.Process]:
    assert callable(find)
    for _ in range(100 * seconds):
        if found := find():
            return list(found)
        time.sleep(0.01)
    raise AssertionError(f"not found in {seconds} s")
