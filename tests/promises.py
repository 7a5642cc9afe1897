"""How a test tells what it tried: in rounds, figures and, when it fails, a violation.

With HOLDFAST_TALLY each test's outcome becomes a line of JSON in that file, and with
HOLDFAST_ROUND_SECONDS the tests that were chosen run again and again, on the same servers, until
so much time is over. A test whose name says caught or noticed switches a mechanism off: it runs in
the first round alone, and counts as a mutant. `tests.chaos.table` makes the table of all promises
out of it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import pytest

Tally = Callable[..., None]
T = TypeVar("T")

MUTANTS = "mutants_caught"
_SWITCHES_OFF = ("is_caught", "is_noticed")
_TOLD = pytest.StashKey[dict[str, Any]]()


@dataclass
class Share:
    """The time of all tests that were chosen, which ends at `until` on the monotonic clock."""

    until: float = inf

    @property
    def left_seconds(self) -> float:
        return self.until - time.monotonic()

    def of(self, things: Iterable[T], least: int) -> Iterator[T]:
        """As many as there is time for, and `least` of them at any rate."""
        for number, thing in enumerate(things):
            if number >= least and self.left_seconds < 0:
                return
            yield thing


_SHARE = pytest.StashKey[Share]()


@pytest.fixture
def share(request: pytest.FixtureRequest) -> Share:
    """For a test that has a use for all the time that its neighbours leave: in a round it comes
    last. Outside of rounds it never ends."""
    return request.config.stash.get(_SHARE, Share())


def switches_off(item: pytest.Item) -> bool:
    """Whether a mechanism is off in this test, which passes if that was not overlooked."""
    return any(word in item.name for word in _SWITCHES_OFF)


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
    # A failure of the set-up is none of the promise, but nothing was shown either.
    if report.when == "call" or report.outcome != "passed":
        told = item.stash.get(_TOLD, {})
        line = {
            "test": item.nodeid.partition("[")[0],
            "outcome": report.outcome if report.when == "call" else f"{report.when} failed",
            "figures": {MUTANTS: 1} if switches_off(item) else told,
            "seconds": round(report.duration, 2),
            "why": str(report.longrepr)[-2_000:] if report.failed else "",
        }
        if report.skipped:
            line["outcome"], line["why"] = "skipped", str(report.longrepr[-1])
        write(line)
    return report  # type: ignore[return-value]


def write(line: dict[str, Any]) -> None:
    """One more line of the tally, if there is one."""
    if path := os.environ.get("HOLDFAST_TALLY"):
        with Path(path).open("a") as lines:
            lines.write(json.dumps(line) + "\n")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    seconds = float(os.environ.get("HOLDFAST_ROUND_SECONDS", "0"))
    if not seconds or session.testsfailed or session.config.option.collectonly:
        return None
    began = time.monotonic()
    once = [item for item in session.items if switches_off(item)]
    again = [item for item in session.items if item not in once]
    again.sort(key=lambda item: "share" in getattr(item, "fixturenames", ()))
    for item in once:
        _run(session, item)
    # What runs once, however short the time is, leaves all of it to the rounds.
    share = session.config.stash[_SHARE] = Share(time.monotonic() + seconds)
    took = {item: _run(session, item) for item in again}
    rounds, first_seconds = 1, time.monotonic() - began
    # An item that does not fit into what is left is not begun.
    while fitting := [item for item in again if took[item] < share.left_seconds]:
        for item in fitting:
            if took[item] < share.left_seconds:
                seconds = _run(session, item)
                took[item] = inf if seconds == inf else min(took[item], seconds)
        rounds += 1
    session._setupstate.teardown_exact(None)
    first = session.items[0].nodeid.partition("[")[0] if session.items else ""
    ended = {"rounds": rounds, "first_seconds": round(first_seconds, 2)}
    write({"test": first, "outcome": "ended", "figures": {}} | ended)
    return True


def _run(session: pytest.Session, item: pytest.Item) -> float:
    """Runs a test; returns the seconds: without end for one that fails, which is not run again.
    What follows may be another run of the same module, whose servers stay."""
    began, failed = time.monotonic(), session.testsfailed
    session._setupstate.teardown_exact(item.parent)
    item.stash[_TOLD] = {}
    session.config.hook.pytest_runtest_protocol(item=item, nextitem=item.parent)
    return inf if session.testsfailed > failed else time.monotonic() - began
