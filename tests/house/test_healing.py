"""Whatever single process dies, nobody has to do anything about it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

from cli.supervisor.ray_daemons import Daemons
from store.embedded.leftovers import is_alive, tagged
from tests.house.conftest import PORT
from tests.stack import Stack

HEAL_TIMEOUT_SECONDS = 120.0


def _daemons(copy: Stack) -> Daemons:
    return Daemons.among(tagged(copy.settings, "ray"), with_dashboard=False)


def _dashboard(copy: Stack) -> psutil.Process:
    found = Daemons.among(tagged(copy.settings, "ray")).dashboard
    assert found
    return found.process


VICTIMS: dict[str, Callable[[Stack], psutil.Process]] = {
    "haproxy": lambda copy: copy.haproxies()[-1],
    "haproxy's manager": lambda copy: copy.processes("ray::HAProxyManager")[0],
    "controller": lambda copy: copy.processes("ray::ServeController")[0],
    "replica": lambda copy: copy.replicas()[0],
    "keeper": lambda copy: copy.keepers()[0],
    "host": lambda copy: copy.hosts()[0],
    "dashboard": _dashboard,
    "postgres": lambda copy: copy.postgres()[0],
    "valkey": lambda copy: copy.valkey()[0],
    "raylet": lambda copy: _daemons(copy).raylet.process,
    "gcs": lambda copy: _daemons(copy).gcs.process,
}


@pytest.mark.parametrize("name", VICTIMS)
def test_what_is_killed_comes_back(copies: tuple[Stack, Stack], name: str) -> None:
    with_dashboard, other = copies
    copy = with_dashboard if name == "dashboard" else other
    find = VICTIMS[name]
    deadline = time.monotonic() + HEAL_TIMEOUT_SECONDS
    # A copy serves again before all of it is back from the kill before.
    while (victim := _found(copy, find)) is None:
        assert time.monotonic() < deadline, copy.log.read_text()
        time.sleep(0.1)
    victim.kill()
    deadline = time.monotonic() + HEAL_TIMEOUT_SECONDS
    while not (_replaced(copy, find, victim) and copy.is_ready()):
        assert time.monotonic() < deadline, copy.log.read_text()
        time.sleep(0.1)
    assert copy.supervisor.is_running()


def test_without_the_gcs_the_others_go_on(copies: tuple[Stack, Stack]) -> None:
    """It is started again alone, and knows afterwards whom to start again."""
    _, copy = copies
    _wait(copy, lambda: copy.is_ready() and not copy.processes("cli.supervisor.ray_start"))
    others = {*copy.hosts(), *copy.replicas(), _daemons(copy).raylet.process}
    before = _daemons(copy).gcs.process
    before.kill()
    _wait(copy, lambda: _daemons(copy).gcs.process != before)
    host = copy.hosts()[0]
    host.kill()
    _wait(copy, lambda: len(copy.hosts()) == 2 and host not in copy.hosts() and copy.is_ready())
    assert all(is_alive(process) for process in others - {host})


def test_what_serves_outlives_the_raylet(copies: tuple[Stack, Stack]) -> None:
    """Nobody hears a no for long while another Ray is started; then all are the new one's."""
    _, copy = copies
    _wait(copy, lambda: copy.is_ready() and not copy.processes("cli.supervisor.ray_start"))
    serving = {*copy.hosts(), *copy.replicas(), *copy.haproxies()[-1:]}
    _daemons(copy).raylet.process.kill()
    _wait(copy, lambda: bool(copy.processes("cli.supervisor.ray_start")))
    assert all(map(is_alive, serving))
    assert copy.is_ready()
    assert copy.processes("cli.supervisor.ray_start"), "ready before another Ray is"
    _wait(copy, lambda: not any(map(is_alive, serving)) and copy.is_ready())


def test_the_raylet_outlives_what_sleeps_in_its_agents_place(copies: tuple[Stack, Stack]) -> None:
    _, copy = copies
    _wait(copy, lambda: copy.is_ready() and not copy.processes("cli.supervisor.ray_start"))
    raylet = _daemons(copy).raylet.process
    sleepers = copy.sleepers()
    assert len(sleepers) == 2
    for sleeper in sleepers:
        sleeper.kill()
    with pytest.raises(psutil.TimeoutExpired):
        raylet.wait(1)  # it would have ended at once
    host = copy.hosts()[0]
    host.kill()
    _wait(copy, lambda: len(copy.hosts()) == 2 and host not in copy.hosts() and copy.is_ready())
    assert is_alive(raylet)


def _wait(copy: Stack, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HEAL_TIMEOUT_SECONDS
    while True:
        with suppress(RuntimeError):
            if until():
                return
        assert time.monotonic() < deadline, copy.log.read_text()
        time.sleep(0.1)


def _replaced(copy: Stack, find: Callable[[Stack], psutil.Process], victim: psutil.Process) -> bool:
    return not is_alive(victim) and _found(copy, find) is not None


def _found(copy: Stack, find: Callable[[Stack], psutil.Process]) -> psutil.Process | None:
    try:
        found = find(copy)
    except (IndexError, RuntimeError):
        return None
    return found if is_alive(found) else None


def test_a_home_in_use_is_left_alone(copies: tuple[Stack, Stack]) -> None:
    _, copy = copies
    again = subprocess.run(
        [sys.executable, "-m", "cli.main", "up"],
        env={"HOLDFAST_HOME": str(copy.settings.home_path), "HOLDFAST_PORT": str(PORT + 500)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert again.returncode == 1
    assert "in use by another `holdfast up`" in again.stderr
    assert copy.is_ready()
