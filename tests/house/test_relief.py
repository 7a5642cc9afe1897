"""One HAProxy takes over from another: that died, hung, or belongs to a Ray that is gone."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import psutil

from cli.supervisor.front_door import outgoing_file
from cli.supervisor.journal import Journal
from cli.supervisor.ray_node import prepare
from cli.supervisor.stopgap import Stopgap, _pid
from core.ray_environment import haproxy_dir
from core.settings import Settings
from store.embedded.leftovers import is_alive
from tests.house.haproxy import PORT, Running
from tests.waiting import comes_true

__all__ = ["PORT"]  # what `home` listens at


def test_another_stands_in_for_one_that_died(home: Settings, template: str, behind: None) -> None:
    environment = prepare(home)
    folder = haproxy_dir(home) / "node"
    folder.mkdir()
    served = template.replace(
        re.findall("stats socket (\\S+)", template)[0], f"{folder}/admin.sock"
    )
    stopgap = Stopgap(home, Journal(home.home_path / "logs"))
    with Running(home, served, folder, prepared=environment) as first:
        assert comes_true(lambda: first.status("/") == 200)
        _look(stopgap, environment)
        first.process.send_signal(signal.SIGSTOP)
        # That it hangs is noticed, and then that it is gone.
        _look(stopgap, environment)
        assert first.process.wait(5) == -signal.SIGKILL
        first.config.write_text(served)  # Serve's manager is being started again, too
        _look(stopgap, environment)
        assert comes_true(lambda: first.status("/") == 200, seconds=5), "somebody stands in"
        assert "Fitted to this copy" in (folder / "stopgap.cfg").read_text()
        stand_in = psutil.Process(int(outgoing_file(haproxy_dir(home)).read_text()))
        with Running(home, served, folder, prepared=environment) as second:
            assert comes_true(lambda: not is_alive(stand_in), seconds=10), "relieved"
            _look(stopgap, environment)
            assert second.status("/") == 200
            assert not outgoing_file(haproxy_dir(home)).exists()


def test_a_door_is_taken_over_once_there_is_somebody_to_answer(
    home: Settings, template: str, tmp_path: Path, behind: None
) -> None:
    """Another Ray is started beside replicas and a HAProxy that outlived theirs."""
    environment = prepare(home)
    whole = haproxy_dir(home)
    written = str(Path(re.findall("stats socket (\\S+)", template)[0]).parent)
    old, young = whole / "old", whole / "young"
    served = {folder: template.replace(written, str(folder)) for folder in (old, young)}
    for folder in served:
        folder.mkdir()
    with Running(home, served[old], old, prepared=environment) as first:
        outgoing_file(whole).write_text(str(first.process.pid))
        # As Serve writes it before it knows of a replica.
        unknown = "".join(
            line
            for line in served[young].splitlines(keepends=True)
            if line.split()[:1] != ["server"]
        )
        with Running(home, unknown, young, prepared=environment) as second:
            assert comes_true(lambda: (young / "admin.sock").exists())
            assert comes_true(lambda: _pid(young / "admin.sock") == second.process.pid)
            assert first.process.poll() is None
            assert first.status("/") == 200
            relieving = ("-sf", str(second.process.pid))
            with Running(home, served[young], young, prepared=environment, more=relieving) as third:
                assert first.process.wait(10) is not None, "relieved"
                assert second.process.wait(10) is not None, "relieved, as Serve says"
                assert third.status("/") == 200


def _look(stopgap: Stopgap, environment: dict[str, str]) -> None:
    time.sleep(0.55)  # it does not look more often
    stopgap.tick(environment)
