"""The suite as several pytests side by side, which end as one: `python -m tests.lanes all`, or
`quick` for what needs no whole copy.

Most tests wait for something: a copy that starts, a lease that runs out. Each lane is a pytest
of its own, with servers of its own; a folder keeps to ports of its own (`tests/stack.py`). What
a lane prints comes in order, one lane after another; then its failures again, and a last line like
pytest's that counts them all. Further arguments go to every lane (`-x`, `-k`, `--durations=20`).
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[1]
PYTEST = (sys.executable, "-m", "pytest")
# Two kill and time whole copies; two take the API in a layout each, two without any copy; two
# the runtime. They are cut so that none takes much longer than the others.
IN_PROCESS = ("-m", "not stack and not split")


def _files(folder: str, words: Sequence[str]) -> tuple[str, ...]:
    """Tests in a folder whose names begin with one of these words."""
    found = (path for word in words for path in sorted(ROOT.glob(f"{folder}/test_{word}*.py")))
    return tuple(str(path.relative_to(ROOT)) for path in found)


def _without(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"--ignore={path}" for path in paths)


OF_TRADE = ("tests/api/pos", "tests/api/catalog", "tests/api/inventory")
# What stays away for seconds there, or moves: half of the runtime's time, and little of its work.
_OF_ABSENCE = "clocks incarnations keeping outage rotation stuck unknown unloaded zombie"
AWAY = _files("tests/runtime", _OF_ABSENCE.split())
LANES: dict[str, tuple[str, ...]] = {
    "copies": ("tests/house",),
    "chaos": ("tests/chaos",),
    "single": ("tests/api", "-m", "stack and not split"),
    "split": ("tests/api", "-m", "split"),
    "trade": (*OF_TRADE, *IN_PROCESS),
    "process": ("tests/api", *IN_PROCESS, *_without(OF_TRADE)),
    "hosts": ("tests/runtime", *_without(AWAY)),
    "away": AWAY,
    # Whatever is in none of them, so that a new folder is not forgotten: simulation, store, units.
    "rest": ("tests", *_without(("tests/house", "tests/chaos", "tests/api", "tests/runtime"))),
}
# What needs no whole copy.
QUICK: dict[str, tuple[str, ...]] = {
    "units": ("tests/unit", "tests/store"),
    "trade": LANES["trade"],
    "process": LANES["process"],
}
# In the order in which a closing line of pytest's has them; what a lane leaves to another, which
# is "deselected", is nobody's loss.
OUTCOMES = ("failed", "passed", "skipped", "xfailed", "xpassed", "warning", "error")
NOTHING_COLLECTED = 5
INTERRUPTED = 130
# Thrice what the slowest lane needs. One test has five minutes, by pytest's own clock; this is for
# what is none, such as a session that does not end.
MAX_SECONDS = 1_500.0
# To stop what it has started.
FAREWELL_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.1
_CLOSING = re.compile(r"^(?:=+ )?(?P<counts>\d+ \w+(?:, \d+ \w+)*) in [\d.]+s\b", re.MULTILINE)
_COLOR = re.compile(r"\x1b\[[\d;]*m")


@dataclass
class Lane:
    """One pytest; `output` is what it has printed so far."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    told: list[signal.Signals] = field(default_factory=list)

    def is_over(self) -> bool:
        if self.process.poll() is None:
            self._end_if_it_hangs()
            return False
        self.ended = self.ended or time.monotonic()
        return True

    def _end_if_it_hangs(self) -> None:
        """By a Ctrl-C, at which pytest says where it is and stops what it has started; if that
        does not help by an abort, at which its faulthandler says where each thread is."""
        late = self.seconds - MAX_SECONDS
        for number, after in ((signal.SIGINT, 0.0), (signal.SIGABRT, FAREWELL_SECONDS)):
            if late > after and number not in self.told:
                self.told.append(number)
                self.process.send_signal(number)

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.began

    def text(self) -> str:
        return _COLOR.sub("", self.output.read_text(errors="replace"))

    def figures(self) -> str:
        """A line about a lane that is over."""
        said = counts(self.text())
        figures = ", ".join(f"{said[what]} {what}" for what in OUTCOMES if said[what])
        return (
            f"lane {self.name}: {figures or 'no closing line'} in {self.seconds:.0f} s,"
            f" exit status {self.process.returncode}"
            + (", ended because it hung" if self.told else "")
        )


def counts(text: str) -> Counter[str]:
    """How many tests passed, failed and so on, by what the last closing line in `text` says;
    empty where pytest did not get as far as that."""
    found: Counter[str] = Counter()
    closing = list(_CLOSING.finditer(text))
    for part in closing[-1]["counts"].split(", ") if closing else ():
        number, what = part.split(" ")
        found[what.removesuffix("s") if what in ("errors", "warnings") else what] += int(number)
    return found


def closing_line(total: Mapping[str, int], seconds: float) -> str:
    """What pytest would have said if it had run them all."""
    parts = []
    for what in OUTCOMES:
        if number := total.get(what, 0):
            plural = "s" if number > 1 and what in ("warning", "error") else ""
            parts.append(f"{number} {what}{plural}")
    minutes, rest = divmod(int(seconds), 60)
    said = ", ".join(parts) or "no tests ran"
    return f" {said} in {seconds:.2f}s ({minutes // 60}:{minutes % 60:02}:{rest:02}) ".center(
        100, "="
    )


def status_of(statuses: Iterable[int]) -> int:
    """One exit status for all lanes: the gravest. A lane in which `-k` finds nothing is well."""
    ran = [status for status in statuses if status != NOTHING_COLLECTED]
    return max((abs(status) for status in ran), default=NOTHING_COLLECTED)


def failures(text: str) -> Iterator[str]:
    """The lines of a lane's short summary that tell of something wrong."""
    for line in text.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            yield line


def run(lanes: Mapping[str, Sequence[str]], options: Sequence[str] = ()) -> int:
    """Runs all of `lanes` and prints what they say. Returns the exit status."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="holdfast-lanes-") as folder:
        running: list[Lane] = []
        with _signals_passed_on(running) as interrupted:
            for name in lanes:
                running.append(start(name, (*lanes[name], *options), Path(folder)))
            for lane in running:
                _follow(lane, running)
        total: Counter[str] = Counter()
        print("\n" + " all lanes ".center(100, "="))
        for lane in running:
            text = lane.text()
            total += counts(text)
            for line in failures(text):
                print(line)
        for lane in running:
            print(lane.figures())
    status = INTERRUPTED if interrupted else status_of(lane.process.returncode for lane in running)
    print(closing_line(total, time.monotonic() - began), flush=True)
    return status


def start(name: str, arguments: Sequence[str], folder: Path) -> Lane:
    """What the lane prints goes to a file in `folder`."""
    output = folder / name
    color = ["--color=yes"] if sys.stdout.isatty() else []
    with output.open("wb") as file:
        # In a session of its own: a Ctrl-C comes once, from here, and not twice.
        process = subprocess.Popen(
            [*PYTEST, *color, "-o", f"cache_dir=.pytest_cache/{name}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            start_new_session=True,
        )
    return Lane(name, process, output)


@contextmanager
def _signals_passed_on(running: Sequence[Lane]) -> Iterator[list[int]]:
    """Each lane hears of a Ctrl-C, or of a request to end, as its own Ctrl-C: it stops what it
    has started and says how far it came. Yields a list of what has been heard."""
    heard: list[int] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        heard.append(number)
        for lane in running:
            if lane.process.poll() is None:
                lane.process.send_signal(signal.SIGINT)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, hand_on) for number in numbers}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(lane: Lane, everyone: Sequence[Lane]) -> None:
    """Prints what a lane says, as it says it, until it ends."""
    print(f" lane {lane.name} ".center(100, "="), flush=True)
    with lane.output.open("rb") as file:
        while True:
            # Asked before the last look, or something said in between would be lost.
            over = [other for other in everyone if other.is_over()]
            sys.stdout.buffer.write(file.read())
            sys.stdout.flush()
            if lane in over:
                return
            time.sleep(_LOOK_AGAIN_SECONDS)


if __name__ == "__main__":
    sys.exit(run({"all": LANES, "quick": QUICK}[sys.argv[1]], sys.argv[2:]))
