"""How a test tells what it tried: in rounds, figures and, when it fails, a violation.

With HOLDFAST_TALLY each test's outcome becomes a line of JSON in that file, and with
HOLDFAST_ROUND_SECONDS the tests that were chosen run again and again, on the same servers, until
so much time is over. `tests.chaos.table` makes the table of all promises out of it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Tally = Callable[..., None]

_TOLD = pytest.StashKey[dict[str, Any]]()


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """`tally(kills=3, commands=812)`: how often what was tried in this run. The first one counts
    the rounds."""
    told = request.node.stash.setdefault(_TOLD, {})

    def tell(**figures: int) -> None:
        for name, number in figures.items():
            told[name] = told.get(name, 0) + number

    return tell


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    path = os.environ.get("HOLDFAST_TALLY")
    # A failure of the set-up is none of the promise, but nothing was shown either.
    if path and (report.when == "call" or report.outcome != "passed"):
        line = {
            "test": item.nodeid.partition("[")[0],
            "outcome": report.outcome if report.when == "call" else f"{report.when} failed",
            "figures": item.stash.get(_TOLD, {}),
            "seconds": round(report.duration, 2),
            "why": str(report.longrepr)[-2_000:] if report.failed else "",
        }
        if report.skipped:
            line["outcome"], line["why"] = "skipped", str(report.longrepr[-1])
        with Path(path).open("a") as lines:
            lines.write(json.dumps(line) + "\n")
    return report  # type: ignore[return-value]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    seconds = float(os.environ.get("HOLDFAST_ROUND_SECONDS", "0"))
    if not seconds or session.testsfailed or session.config.option.collectonly:
        return None
    until, rounds = time.monotonic() + seconds, 0
    while session.items and (not rounds or time.monotonic() < until):
        for item in session.items:
            if rounds and time.monotonic() > until:
                break
            item.stash[_TOLD] = {}
            # The next one is another run in the same module: its servers stay.
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=item.parent)
        rounds += 1
    session._setupstate.teardown_exact(None)
    return True
