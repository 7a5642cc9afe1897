"""`make coverage`: the whole suite, measured in its own processes and in those that it starts.

Prints lines and branches per room, and each file below half. A process that is killed loses what
it ran since its last save (`tests/coverage_saver.py`), so the truth is a little higher.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import coverage

from tests import lanes

FOLDER = lanes.ROOT / ".coverage"
# Each process adds its own ending to this name.
DATA = FOLDER / "data"
CONFIGURATION = lanes.ROOT / "pyproject.toml"
ROOMS = ("core", "store", "actors", "gateway", "deployments", "cli")
WANTED = 80.0
LOW = 50.0


@dataclass
class Measured:
    """How many statements and branches there are, and how many of them ran."""

    statements: int = 0
    ran: int = 0
    branches: int = 0
    taken: int = 0

    def add(self, summary: Mapping[str, int]) -> None:
        """A file's summary, as coverage writes it to JSON."""
        self.statements += summary["num_statements"]
        self.ran += summary["covered_lines"]
        self.branches += summary["num_branches"]
        self.taken += summary["covered_branches"]

    @property
    def lines_percent(self) -> float:
        return 100 * self.ran / self.statements if self.statements else 100.0

    @property
    def branches_percent(self) -> float:
        return 100 * self.taken / self.branches if self.branches else 100.0

    @property
    def percent(self) -> float:
        """Of both together, as coverage counts."""
        both = self.statements + self.branches
        return 100 * (self.ran + self.taken) / both if both else 100.0


def rooms(report: Mapping[str, Any]) -> dict[str, Measured]:
    """Coverage's JSON report, summed up per room and for all."""
    found: defaultdict[str, Measured] = defaultdict(Measured)
    for name, file in report["files"].items():
        for room in (name.split("/")[0], "all"):
            found[room].add(file["summary"])
    return {room: found[room] for room in (*ROOMS, "all")}


def table(report: Mapping[str, Any]) -> Iterable[str]:
    """Lines to print."""
    yield f"{'room':<12} {'statements':>10} {'lines':>7} {'branches':>9} {'both':>7}"
    for room, counted in rooms(report).items():
        yield (
            f"{room:<12} {counted.statements:>10} {counted.lines_percent:>6.1f}%"
            f" {counted.branches_percent:>8.1f}% {counted.percent:>6.1f}%"
        )
    for name, file in sorted(report["files"].items()):
        percent = file["summary"]["percent_covered"]
        if percent < LOW:
            yield f"below {LOW:.0f} %: {name} {percent:.0f} %"


def combined() -> dict[str, Any]:
    """What all processes have written, as coverage's JSON report."""
    measured = coverage.Coverage(data_file=str(DATA), config_file=str(CONFIGURATION))
    measured.combine([str(FOLDER)])
    report = FOLDER / "report.json"
    measured.json_report(outfile=str(report), ignore_errors=True)
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def main(options: list[str]) -> int:
    """Returns the suite's exit status, or 1 where a room has less than is wanted."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    # All that the lanes start, Ray's workers among them, inherits these.
    os.environ["COVERAGE_PROCESS_START"] = str(CONFIGURATION)
    os.environ["COVERAGE_FILE"] = str(DATA)
    lanes.MAX_SECONDS *= 2  # to be measured takes its time
    status = lanes.run(lanes.LANES, options)
    found = combined()
    print("\n".join(table(found)))
    short = [room for room, counted in rooms(found).items() if counted.percent < WANTED]
    if short:
        print(f"less than {WANTED:.0f} %: {', '.join(short)}")
    return status or int(bool(short))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
