"""The table of promises: `python -m tests.chaos.table`, which is `make chaos`.

Divides CHAOS_MINUTES (60) over the promises, runs the tests of each in its share of them, and
prints a row per promise: how many rounds there was time for, what was tried, and what was broken.
Each test runs once at least, however small its share is; these first rounds take some
FIRST_ROUNDS_MINUTES together on a busy machine, and what they took is printed. What several runs
found adds up: each writes its lines beside CHAOS_TALLY (`chaos-tally.jsonl`), `--add FILE...`
prints the table of files, and CHAOS_SEED replays an order of faults. Arguments that are numbers
choose promises.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tests.promises import MUTANTS
from tests.stack import stop

ROOT = Path(__file__).parents[2]
# On two cores with a load of 15.
FIRST_ROUNDS_MINUTES = 45
# A first round may take longer than its share; one that takes so much longer hangs.
GRACE_SECONDS = 900.0
STOP_SECONDS = 60.0


class Promise(NamedTuple):
    """`share` of the time, in parts. `tests` are files, folders or single tests; among them those
    whose names say caught or noticed switch a mechanism off, and fail if nobody would miss it.
    Without tests it is NOT RUN, for the reason in `figure`."""

    number: int
    text: str
    figure: str
    share: int = 0
    tests: tuple[str, ...] = ()


PROMISES = (
    Promise(
        1,
        "acked is durable, and happened once",
        "0 lost, 0 doubled",
        12,
        (
            "tests/chaos/test_kill_under_load.py",
            "tests/chaos/test_demo_under_kills.py",
            "tests/runtime/test_acked.py::test_acked_is_durable_and_happened_once",
            "tests/runtime/test_acked.py::test_a_loss_or_a_double_is_caught_without",
            "tests/runtime/test_coincidence.py",
            "tests/runtime/test_till.py",
            "tests/runtime/test_unloaded.py",
            "tests/runtime/test_rejected.py",
        ),
    ),
    Promise(
        2,
        "never oversold, nobody told sold out by a sale that never happened",
        "sold = min(stock, demand)",
        3,
        (
            "tests/chaos/test_flash_sale.py",
            "tests/runtime/test_acked.py::test_exactly_what_there_is_is_sold",
            "tests/runtime/test_acked.py::test_overselling_is_caught_without_the_rule",
        ),
    ),
    Promise(3, "a zombie writes nothing", "0 stale", 4, ("tests/runtime/test_zombie.py",)),
    Promise(
        4,
        "an unknown COMMIT is resolved",
        "one effect each",
        4,
        ("tests/runtime/test_unknown_commit.py",),
    ),
    Promise(
        5,
        "lost and repeated calls are harmless",
        "0 double effects",
        5,
        (
            "tests/chaos/test_lost_calls.py",
            "tests/runtime/test_channel.py",
            "tests/runtime/streams",
        ),
    ),
    Promise(
        6,
        "a Postgres restart is a pause",
        "95 % of the rate in 10 s",
        4,
        ("tests/runtime/test_outage.py", "tests/runtime/test_stuck.py"),
    ),
    Promise(
        7,
        "Redis may vanish",
        "0 differences",
        3,
        ("tests/chaos/test_readiness.py", "tests/chaos/test_without_valkey.py"),
    ),
    Promise(
        8,
        "a slow disk sheds load",
        "refused at once, p99 bounded",
        4,
        ("tests/runtime/test_overload.py", "tests/chaos/test_slow_disk.py"),
    ),
    Promise(9, "webhooks in any order", "there is no billing yet"),
    Promise(
        10,
        "a node of Ray is lost",
        "others serve on, 0 lost",
        3,
        ("tests/chaos/test_node_loss.py",),
    ),
    Promise(11, "a deploy is invisible", "0 failed reads", 5, ("tests/chaos/test_deploy.py",)),
    Promise(
        12,
        "linearizable per aggregate and per shop",
        "every history explained",
        6,
        ("tests/runtime/test_linearizable.py", "tests/runtime/test_moves.py"),
    ),
    Promise(
        13,
        "the model and the code agree",
        "every example",
        2,
        (
            "tests/unit/test_stock_model.py",
            "tests/unit/test_till_model.py",
            "tests/unit/test_till_offline_model.py",
        ),
    ),
    Promise(14, "simulated years", "no life broke a promise", 6, ("tests/sim",)),
    Promise(
        15, "the API is honest", "0 answers of 5xx", 3, ("tests/api/every_route/test_openapi.py",)
    ),
    Promise(16, "tenants are walls", "every cell", 2, ("tests/api/every_route/test_walls.py",)),
    Promise(17, "the past still loads", "a day's trade", 2, ("tests/runtime/test_past.py",)),
    Promise(
        18,
        "drift is zero",
        "0 differences, ledgers against states",
        1,
        ("tests/runtime/test_holds.py",),
    ),
)


DRIFT = 18


@dataclass
class Row:
    """What became of a promise, over all lines of its tests. `repeats`: of each group of tests,
    how many rounds of all of them there was time for."""

    promise: Promise
    rounds: int = 0
    violations: int = 0
    skipped: int = 0
    figures: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)
    first_seconds: float = 0.0

    @property
    def verdict(self) -> str:
        if self.violations:
            return "FAIL"
        return "PASS" if self.rounds else "NOT RUN"

    def count(self, line: Mapping[str, Any]) -> None:
        if line["outcome"] == "ended":
            self.repeats[line["test"]] += line["rounds"]
            self.first_seconds += line["first_seconds"]
        elif line["outcome"] == "skipped":
            self.skipped += 1
        elif line["outcome"] != "passed":
            self.violations += 1
        else:
            figures: dict[str, int] = line["figures"]
            self.figures.update(figures)
            # That a mechanism is missed where it is off says nothing of where it is on.
            if MUTANTS not in figures:
                self.rounds += next(iter(figures.values()), 1)


def of_test(test: str) -> Promise | None:
    """The promise that a test, by its node's name, stands for."""
    for promise in PROMISES:
        for place in promise.tests:
            if test == place or test.startswith((f"{place}::", f"{place}/")):
                return promise
    return None


def rows(lines: Iterable[Mapping[str, Any]]) -> list[Row]:
    found = {promise.number: Row(promise) for promise in PROMISES}
    for line in lines:
        promise = of_test(line["test"])
        if promise is None:
            continue
        # Whatever was tried, its ledgers were compared with its states in the end.
        audits = line["figures"].pop("audits", 0)
        found[promise.number].count(line)
        if line["outcome"] == "passed":
            found[DRIFT].rounds += audits
    return list(found.values())


def table(found: Sequence[Row]) -> str:
    """One row per promise, and what else there is to say of all of them."""
    said = []
    for row in found:
        promise = row.promise
        counted = ", ".join(
            f"{number:,} {name.replace('_', ' ')}" for name, number in row.figures.items()
        )
        figure = f"{promise.figure}: {counted}" if counted else promise.figure
        cells = (promise.number, promise.text, f"{row.rounds:,}", figure, row.violations)
        said.append(f"| {' | '.join(map(str, cells))} | {row.verdict} |")
    head = "| # | promise | rounds | figure | violations | |\n|---|---|---|---|---|---|"
    return "\n".join((head, *said, "", *_beside(found)))


def _beside(found: Sequence[Row]) -> Iterator[str]:
    off = sum(row.figures[MUTANTS] for row in found)
    yield f"{off} mechanisms were switched off and missed."
    minutes = sum(row.first_seconds for row in found) / 60
    once = [str(row.promise.number) for row in found if 1 in row.repeats.values()]
    yield f"First rounds took {minutes:.0f} minutes. One round only: {', '.join(once) or 'none'}."


def read(paths: Iterable[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


class Group(NamedTuple):
    """Tests of one promise that run in one pytest, since they share their servers."""

    promise: Promise
    tests: tuple[str, ...]
    share: float


def groups(promises: Iterable[Promise]) -> list[Group]:
    """By folder; each with its part of the promise's share."""
    return [
        Group(promise, (tests := tuple(some)), promise.share * len(tests) / len(promise.tests))
        for promise in promises
        for _, some in groupby(promise.tests, lambda test: Path(test).parts[1])
    ]


def run(minutes: float, tally: Path, promises: Sequence[Promise] = PROMISES) -> int:
    """Runs everything; ends with 1 when a promise was broken. What one promise's tests overrun,
    since each runs once at least, all others give."""
    began = time.monotonic()
    parts = groups(promises)
    print(f"{minutes:.0f} minutes; first rounds take {FIRST_ROUNDS_MINUTES} on a busy machine.")
    for place, group in enumerate(parts):
        left = max(0.0, began + minutes * 60 - time.monotonic())
        seconds = left * group.share / sum(part.share for part in parts[place:])
        what = f"{group.promise.number}: {group.promise.text}: {', '.join(group.tests)}"
        print(f"--- {what}, {seconds:.0f} s", flush=True)
        since = time.monotonic()
        _run_group(group, max(seconds, 1.0), tally)
        print(f"--- took {time.monotonic() - since:.0f} s", flush=True)
    told = rows(read([tally])) if tally.exists() else rows(())
    found = [row for row in told if row.promise in promises or row.rounds]
    print(table(found))
    print(f"{(time.monotonic() - began) / 60:.0f} minutes; lines in {tally}")
    return int(any(row.violations for row in found))


def _run_group(group: Group, seconds: float, tally: Path) -> None:
    environment = os.environ | {
        "HOLDFAST_CHAOS": "rounds",
        "HOLDFAST_ROUND_SECONDS": str(seconds),
        "HOLDFAST_TALLY": str(tally),
    }
    command = (sys.executable, "-m", "pytest", "-q", "--tb=short", *group.tests)
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        status = process.wait(seconds + GRACE_SECONDS)
        outcome = f"ended with {status}" if status not in _TOLD else ""
    except subprocess.TimeoutExpired:
        outcome = "did not end"
        stop(process, signal.SIGINT, STOP_SECONDS)  # as Ctrl-C does
    if outcome:
        line = {"test": group.tests[0], "outcome": outcome, "figures": {}, "seconds": seconds}
        with tally.open("a") as lines:
            lines.write(json.dumps(line) + "\n")


# Exit statuses after which the lines say all: everything passed, or something failed.
_TOLD = (0, 1)


def main(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] == "--add":
        found = rows(read(map(Path, arguments[1:])))
        print(table(found))
        return int(any(row.violations for row in found))
    tally = Path(os.environ.get("CHAOS_TALLY", "chaos-tally.jsonl")).resolve()
    tally.unlink(missing_ok=True)
    chosen = [promise for promise in PROMISES if str(promise.number) in arguments] or PROMISES
    return run(float(os.environ.get("CHAOS_MINUTES", "60")), tally, chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
