"""Lanes of tests lose nothing, count everything, and end as one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lanes import (
    LANES,
    NOTHING_COLLECTED,
    ROOT,
    closing_line,
    counts,
    failures,
    run,
    start,
    status_of,
)


def _takes(lane: tuple[str, ...], file: Path) -> bool:
    """Whether pytest collects a file when it is given a lane's arguments."""
    ignored = [
        argument.removeprefix("--ignore=") for argument in lane if argument.startswith("--ignore=")
    ]
    given = [argument for argument in lane if argument.startswith("tests")]
    name = file.relative_to(ROOT)
    return any(name.is_relative_to(path) for path in given) and not any(
        name.is_relative_to(path) for path in ignored
    )


def _marks(lane: tuple[str, ...]) -> str:
    return lane[lane.index("-m") + 1] if "-m" in lane else ""


def test_every_file_is_in_one_lane_or_shared_out_by_marks() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    assert len(files) > 100
    for file in files:
        marks = sorted(_marks(lane) for lane in LANES.values() if _takes(lane, file))
        # Between them every combination of the two marks, once: `split` implies `stack`.
        shared = ["not stack and not split", "split", "stack and not split"]
        assert marks in ([""], shared), file


def test_what_a_lane_says_is_counted() -> None:
    said = (
        "= 3 failed, 12 passed, 1 skipped, 40 deselected, 2 warnings, 1 error in 61.50s (0:01:01) ="
    )
    quiet = "5 passed in 0.10s"
    total = counts(f"5 passed in a dream\n{said}\n") + counts(quiet)
    assert total["passed"] == 17
    assert counts("a lane that was killed") == {}
    assert closing_line(total, 3_725.5).strip("= ") == (
        "3 failed, 17 passed, 1 skipped, 2 warnings, 1 error in 3725.50s (1:02:05)"
    )


@pytest.mark.parametrize(
    ("statuses", "status"),
    [([0, 0], 0), ([0, 1], 1), ([0, NOTHING_COLLECTED], 0), ([0, -9], 9), ([5, 5], 5), ([2, 1], 2)],
)
def test_one_status_for_all(statuses: list[int], status: int) -> None:
    assert status_of(statuses) == status


LANE_FILES = {
    "test_well.py": "def test_a(): pass\ndef test_b(): pass\n",
    "test_ill.py": "def test_c(): assert 1 == 2\n",
}


@pytest.fixture(autouse=True)
def few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes of these tests need none, and start sooner."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def _written(folder: Path) -> dict[str, tuple[str, ...]]:
    for name, text in LANE_FILES.items():
        (folder / name).write_text(text)
    bare = ("-c", "/dev/null", f"--rootdir={folder}", "-p", "no:cacheprovider", "-p", "no:warnings")
    return {name: (str(folder / name), *bare) for name in LANE_FILES}


def test_lanes_run_and_are_told_as_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(_written(tmp_path), ["-ra"]) == 1
    out = capfd.readouterr().out
    assert out.splitlines()[-1].strip("= ").startswith("1 failed, 2 passed in ")
    told = out[out.rindex(" all lanes ") :]
    (failed,) = failures(told)
    assert "test_ill.py::test_c" in failed
    assert out.index("lane test_well.py") < out.index("lane test_ill.py")


WAITS = """
import pathlib, pytest, time

@pytest.fixture
def copy():
    yield
    pathlib.Path({folder!r}, "stopped").touch()

def test_it(copy):
    pathlib.Path({folder!r}, "begun").touch()
    time.sleep(60)
"""
RUNNER = "import sys; from tests.lanes import run; sys.exit(run({lanes!r}))"


def test_a_ctrl_c_ends_every_lane_in_order(tmp_path: Path) -> None:
    lanes = {}
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "test_waits.py").write_text(WAITS.format(folder=str(folder)))
        lanes[name] = (str(folder), "-c", "/dev/null", "-p", "no:cacheprovider")
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER.format(lanes=lanes)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    _wait(lambda: all((tmp_path / name / "begun").exists() for name in lanes))
    runner.send_signal(signal.SIGINT)
    said, _ = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert said.count("KeyboardInterrupt") >= 2
    assert all((tmp_path / name / "stopped").exists() for name in lanes), "fixtures were ended"


DEAF = """
import pathlib, signal, time

def test_it():
    signal.signal(signal.SIGINT, lambda *_: None)
    pathlib.Path({folder!r}, "begun").touch()
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("text", "farewell_seconds", "status", "says_where"),
    [
        (WAITS, 60, 2, "test_hangs.py:11: KeyboardInterrupt"),
        (DEAF, 1, -signal.SIGABRT, 'test_hangs.py", line 7 in'),
    ],
)
def test_a_lane_that_hangs_is_ended_and_says_where(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    farewell_seconds: float,
    status: int,
    says_where: str,
) -> None:
    """At a Ctrl-C; or at an abort, where it does not hear that."""
    file = tmp_path / "test_hangs.py"
    file.write_text(text.format(folder=str(tmp_path)))
    lane = start("hangs", (str(file), "-c", "/dev/null", "-p", "no:cacheprovider"), tmp_path)
    _wait(lambda: (tmp_path / "begun").exists())
    assert not lane.is_over()
    monkeypatch.setattr("tests.lanes.MAX_SECONDS", 0.0)
    monkeypatch.setattr("tests.lanes.FAREWELL_SECONDS", lane.seconds + farewell_seconds)
    _wait(lane.is_over)
    assert lane.process.returncode == status
    assert says_where in lane.text()
    assert lane.figures().endswith("ended because it hung")


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)


WHERE = """
def test_it(tmp_path):
    root = tmp_path.parents[2]
    assert (root / "left").exists() is False
    (root / "left").touch()
    print("root:", root)
    assert {passes}
"""


def test_sessions_share_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that starts would lock the others' Postgres out of its home."""
    monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", str(tmp_path))
    roots = []
    for passes in (True, False):
        (tmp_path / "test_where.py").write_text(WHERE.format(passes=passes))
        bare = ("-c", "/dev/null", "-p", "no:cacheprovider", "-p", "tests.conftest")
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-s", *bare, str(tmp_path / "test_where.py")],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
        )
        assert ended.returncode == int(not passes), ended.stdout
        roots.append(Path(ended.stdout.split("root: ")[1].splitlines()[0]))
    assert roots[0] != roots[1]
    assert [root.exists() for root in roots] == [False, True], "kept if something failed"
