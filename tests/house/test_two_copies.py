"""Two copies on one machine: side by side, each whole, neither noticing what befalls the other."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import psutil
import pytest

from core.ray_environment import token_path
from core.settings import Ports
from store.embedded.leftovers import everything, signal_process
from tests.house.conftest import HOSTS, PORT
from tests.stack import Stack, running_stack

# Five are promised, to a machine that has some to spare.
STOP_LIMIT_SECONDS = 10.0
ACCOUNT = {"name": "Ada", "email": "ada@example.com", "password": "correct horse battery"}
SIGN_IN = {name: ACCOUNT[name] for name in ("email", "password")}


def _signs_in(copy: Stack) -> int:
    return httpx2.post(f"{copy.url}/api/auth/login", json=SIGN_IN, timeout=30).status_code


def test_each_serves_its_own_data(copies: tuple[Stack, Stack]) -> None:
    one, two = copies
    answer = httpx2.post(f"{one.url}/api/auth/register", json=ACCOUNT, timeout=30)
    assert answer.status_code == 201
    # Often, so that a request that the wrong copy answers now and then would show.
    for _ in range(5):
        assert _signs_in(one) == 200
        assert _signs_in(two) == 401


def test_each_has_processes_of_its_own(copies: tuple[Stack, Stack]) -> None:
    one, two = ({process.pid for process in everything(copy.settings)} for copy in copies)
    assert one
    assert two
    assert not one & two


def test_nothing_but_the_api_listens_beyond_loopback(copies: tuple[Stack, Stack]) -> None:
    one, _ = copies
    for copy, host in zip(copies, HOSTS, strict=True):
        ports = copy.settings.ports
        listening = {
            tuple(connection.laddr)
            for process in everything(copy.settings)
            for connection in _connections(process)
            if connection.status == psutil.CONN_LISTEN
        }
        assert (host, ports.api) in listening
        others = {address for address, port in listening if port != ports.api}
        assert others <= {"127.0.0.1", "::ffff:127.0.0.1"}
        # Workers' own ports are such as the system finds free; the rest is fixed.
        fixed = {port for _, port in listening} & set(range(PORT, PORT + 2 * Ports.SPAN))
        assert fixed <= set(range(ports.api, ports.api + Ports.SPAN))
        assert {ports.gcs, ports.haproxy_stats, ports.haproxy_probe} <= fixed
        assert (ports.dashboard in fixed) is (copy is one)


def test_the_token_of_one_does_not_open_the_dashboard_of_the_other(
    copies: tuple[Stack, Stack],
) -> None:
    one, two = copies
    url = f"http://127.0.0.1:{one.settings.ports.dashboard}/api/serve/applications/"

    def status(copy: Stack) -> int:
        token = token_path(copy.settings).read_text()
        return httpx2.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code

    assert (status(one), status(two)) == (200, 403)
    assert httpx2.get(url, timeout=30).status_code == 401


@pytest.fixture(scope="module")
def second(copies: tuple[Stack, Stack]) -> Iterator[tuple[Stack, set[int]]]:
    """The first copy's next start, after its supervisor alone was killed, and what that left."""
    one, _ = copies
    orphans = {process.pid for process in everything(one.settings)}
    one.supervisor.kill()
    with running_stack(one.settings.home_path, port=one.settings.port) as started:
        yield started, orphans


def test_what_a_killed_supervisor_leaves_is_ended_by_the_next_start(
    second: tuple[Stack, set[int]],
) -> None:
    copy, orphans = second
    # Until it has ended them they still answer, also when asked whether it is ready.
    while orphans & {process.pid for process in everything(copy.settings)}:
        time.sleep(0.1)
    copy.wait_ready()
    assert _signs_in(copy) == 200


def test_one_is_killed_whole_and_comes_back_while_the_other_serves(
    second: tuple[Stack, set[int]], copies: tuple[Stack, Stack]
) -> None:
    one, two = second[0], copies[1]
    settings = one.settings
    one.supervisor.kill()
    for process in everything(settings):
        signal_process(process, signal.SIGKILL)
    assert not one.is_ready()
    assert two.is_ready()
    with running_stack(settings.home_path, port=settings.port) as again:
        assert _signs_in(again) == 200, "what was committed is still there"
        assert two.is_ready()
        began = time.monotonic()
        _down(again)
        assert time.monotonic() - began < STOP_LIMIT_SECONDS
        assert everything(settings) == []
    assert two.is_ready()


def _down(copy: Stack) -> None:
    command = [sys.executable, "-m", "cli.main", "down"]
    environment = {"HOLDFAST_HOME": str(copy.settings.home_path)}
    subprocess.run(command, env=environment, check=True, timeout=30, capture_output=True)


def _connections(process: psutil.Process) -> list[Any]:
    try:
        return process.net_connections("tcp")
    except psutil.Error:
        return []
