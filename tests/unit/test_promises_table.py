"""The table of promises counts what its tests told, over several runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.chaos import table

ZOMBIE, LIVES = "tests/runtime/test_zombie.py::test_a_zombie", "tests/sim/test_sim.py::test_lives"
ROUNDS = """
from pathlib import Path

def test_a_round(tally, tmp_path_factory):
    with Path(__file__).with_name("log").open("a") as log:
        log.write("x")
    tally(kills=2, commands=5)
    assert len(Path(__file__).with_name("log").read_text()) < 4
"""


def line(test: str, outcome: str = "passed", **figures: int) -> dict[str, Any]:
    return {"test": test, "outcome": outcome, "figures": figures}


def row(number: int, *lines: dict[str, Any]) -> table.Row:
    return next(one for one in table.rows(lines) if one.promise.number == number)


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


def test_a_test_runs_again_until_the_time_is_over(tmp_path: Path) -> None:
    (tmp_path / "test_rounds.py").write_text(ROUNDS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    tally = tmp_path / "tally.jsonl"
    told = {"HOLDFAST_ROUND_SECONDS": "0.3", "HOLDFAST_TALLY": str(tally)}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "tests.promises", str(tmp_path)]
    ended = subprocess.run(run, cwd=table.ROOT, env=os.environ | told, capture_output=True)
    lines = [json.loads(one) for one in tally.read_text().splitlines()]
    assert ended.returncode == 1, ended.stdout.decode()
    # The fourth time the file is too long, and so is every time after.
    assert [one["outcome"] for one in lines[:4]] == ["passed"] * 3 + ["failed"]
    assert lines[0]["figures"] == {"kills": 2, "commands": 5}
