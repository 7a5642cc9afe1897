"""The table of promises counts what its tests told, over several runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import table
from tests.promises import Share

ZOMBIE, LIVES = "tests/runtime/test_zombie.py::test_a_zombie", "tests/sim/test_sim.py::test_lives"
ROUNDS = """
from pathlib import Path

def test_a_round(tally, tmp_path_factory):
    with Path(__file__).with_name("log").open("a") as log:
        log.write("x")
    tally(kills=2, commands=5)
    assert len(Path(__file__).with_name("log").read_text()) < 4

def test_another():
    pass
"""

SHARED = """
import time

def test_rest(share):
    for _ in share.of(iter(int, 1), 1):
        time.sleep(0.1)

def test_short():
    time.sleep(0.01)

def test_a_loss_is_caught():
    pass
"""


def line(test: str, outcome: str = "passed", **figures: int) -> dict[str, Any]:
    return {"test": test, "outcome": outcome, "figures": figures}


def row(number: int, *lines: dict[str, Any]) -> table.Row:
    return next(found for found in table.rows(lines) if found.promise.number == number)


def test_rounds_add_up() -> None:
    found = row(14, line(LIVES, lives=120, operations=9), line(LIVES, lives=80, operations=1))
    assert (found.rounds, found.figures["operations"], found.verdict) == (200, 10, "PASS")


def test_one_violation_is_a_failure() -> None:
    found = row(3, line(ZOMBIE), line(ZOMBIE, "failed"), line(ZOMBIE))
    assert (found.rounds, found.violations, found.verdict) == (2, 1, "FAIL")


def test_what_was_skipped_or_has_no_test_is_not_run() -> None:
    assert row(3, line(ZOMBIE, "skipped")).verdict == "NOT RUN"
    assert row(9, line(ZOMBIE)).verdict == "NOT RUN"


def test_every_audit_is_a_round_of_no_drift() -> None:
    found = row(18, line(ZOMBIE, rounds=1, audits=1), line(LIVES, lives=2, audits=1))
    assert (found.rounds, found.verdict) == (2, "PASS")


def test_every_test_of_the_table_is_there() -> None:
    places = [place for promise in table.PROMISES for place in promise.tests]
    assert len(set(places)) == len(places)
    for place in places:
        file, _, name = place.partition("::")
        assert (table.ROOT / file).exists(), place
        assert f"def {name}" in (table.ROOT / file).read_text() if name else True, place


def test_a_mutant_that_is_caught_is_no_round() -> None:
    found = row(14, line(LIVES, mutants_caught=1))
    assert (found.verdict, found.figures["mutants_caught"]) == ("NOT RUN", 1)
    assert "1 mechanisms were switched off" in table.table([found])


def test_every_test_is_in_a_group_and_every_share_is_given() -> None:
    made = table.groups(table.PROMISES)
    assert sum(group.share for group in made) == pytest.approx(sum(p.share for p in table.PROMISES))
    tests = [test for group in made for test in group.tests]
    assert tests == [test for promise in table.PROMISES for test in promise.tests]


def test_a_share_gives_the_least_and_then_what_there_is_time_for() -> None:
    assert list(Share().of("abc", 1)) == ["a", "b", "c"]
    assert list(Share(time.monotonic()).of("abc", 2)) == ["a", "b"]


def rounds(folder: Path, source: str, seconds: float) -> tuple[int, list[dict[str, Any]]]:
    """The exit status, and the tally's lines."""
    (folder / "test_rounds.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    tally = folder / "tally.jsonl"
    told = {"HOLDFAST_ROUND_SECONDS": str(seconds), "HOLDFAST_TALLY": str(tally)}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "tests.promises", str(folder)]
    ended = subprocess.run(run, cwd=table.ROOT, env=os.environ | told, capture_output=True)
    lines = [json.loads(line) for line in tally.read_text().splitlines()]
    assert lines, ended.stdout.decode()
    return ended.returncode, lines


def test_a_mutant_runs_once_and_who_uses_the_rest_of_the_time_comes_last(tmp_path: Path) -> None:
    status, lines = rounds(tmp_path, SHARED, 0.4)
    ran = [entry["test"].rpartition("::")[2] for entry in lines[:-1]]
    assert status == 0
    # What used up the time once does not fit in again.
    assert ran == ["test_a_loss_is_caught", "test_short", "test_rest"]
    assert (lines[-1]["outcome"], lines[-1]["rounds"]) == ("ended", 1)
    assert lines[0]["figures"] == {"mutants_caught": 1}


def test_a_test_runs_again_until_the_time_is_over_or_it_fails(tmp_path: Path) -> None:
    status, lines = rounds(tmp_path, ROUNDS, 1.0)
    assert status == 1
    ran = [(entry["test"].rpartition("::")[2], entry["outcome"]) for entry in lines]
    # The fourth time the file is too long.
    assert [outcome for test, outcome in ran if test == "test_a_round"] == [
        *["passed"] * 3,
        "failed",
        "ended",
    ]
    assert ran.count(("test_another", "passed")) > 4
    assert lines[0]["figures"] == {"kills": 2, "commands": 5}
