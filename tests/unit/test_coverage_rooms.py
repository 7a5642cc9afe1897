"""What `make coverage` prints is the sum of what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from tests.coverage_rooms import ROOMS, rooms, table


def _file(statements: int, ran: int, branches: int, taken: int) -> dict[str, Any]:
    summary = {
        "num_statements": statements,
        "covered_lines": ran,
        "num_branches": branches,
        "covered_branches": taken,
        "percent_covered": 100 * (ran + taken) / (statements + branches),
    }
    return {"summary": summary}


REPORT = {
    "files": {
        "core/ids.py": _file(10, 10, 0, 0),
        "store/kit/engine.py": _file(80, 60, 20, 10),
        "store/kit/redis.py": _file(10, 1, 10, 0),
    }
}


def test_files_are_summed_up_per_room_and_for_all() -> None:
    found = rooms(REPORT)
    assert tuple(found) == (*ROOMS, "all")
    store = found["store"]
    assert (store.statements, store.ran, store.branches, store.taken) == (90, 61, 30, 10)
    assert store.percent == pytest.approx(100 * 71 / 120)
    assert found["all"].percent == pytest.approx(100 * 81 / 130)
    assert found["cli"].percent == 100, "nothing there, nothing missed"


def test_files_that_hardly_ran_are_named() -> None:
    low = [line for line in table(REPORT) if line.startswith("below")]
    assert low == ["below 50 %: store/kit/redis.py 5 %"]
