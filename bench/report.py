"""What the samples of a run amount to. Arithmetic only; `table` and `plot` show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

By = Literal["rate", "CPU"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One contender's answers to one scenario in one round. `per_second` counts only what the
    scenario is about: holds granted, sales made, or refusals where the goods are sold out.
    `cpu_us` is CPU time per request in microseconds, by part. `fault` says why it is void."""

    round: int
    contender: str
    scenario: str
    keyed: bool
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_us: dict[str, float]
    fault: str | None = None

    @property
    def row(self) -> str:
        """What it is compared as: the contender, apart where it got no keys."""
        return self.contender if self.keyed else f"{self.contender}, no key"

    @property
    def serving_us(self) -> float:
        """CPU time per request of all but the load."""
        return sum(spent for part, spent in self.cpu_us.items() if part != "load")


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several values, and their ends."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def as_json(self) -> dict[str, float]:
        return {
            "median": _rounded(self.median),
            "min": _rounded(self.low),
            "max": _rounded(self.high),
        }


@dataclass(frozen=True, slots=True)
class Line:
    """What a table shows of one row in one scenario."""

    row: str
    scenario: str
    per_second: Spread
    p50_ms: Spread
    p99_ms: Spread
    errors: int
    cpu_us: dict[str, float]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast as another contender we were: within each round, then the middle of
    the rounds, so that what slows a whole round down does not count. By CPU: how many times as
    much of it the other one spends on a request. `goal` as in `bench/README.md`; None where there
    is none."""

    name: str
    value: Spread
    goal: float | None
    by: By = "rate"
    rounds: int = 1


# The more the better.
_FIGURES: dict[By, Callable[[Sample], float]] = {
    "rate": lambda sample: sample.per_second,
    "CPU": lambda sample: 1 / sample.serving_us if sample.serving_us else 0.0,
}


def summarize(samples: Iterable[Sample]) -> list[Line]:
    """Samples of the same row and scenario together, in the order of their first appearance.
    Void samples are left out."""
    grouped: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        if sample.fault is None:
            grouped.setdefault((sample.row, sample.scenario), []).append(sample)
    return [_line(row, scenario, found) for (row, scenario), found in grouped.items()]


def _line(row: str, scenario: str, samples: Sequence[Sample]) -> Line:
    parts = {part: None for sample in samples for part in sample.cpu_us}
    return Line(
        row,
        scenario,
        Spread.of([sample.per_second for sample in samples]),
        Spread.of([sample.p50_ms for sample in samples]),
        Spread.of([sample.p99_ms for sample in samples]),
        sum(sample.errors for sample in samples),
        {part: median([sample.cpu_us.get(part, 0.0) for sample in samples]) for part in parts},
    )


Cell = tuple[str, str]  # row and scenario


def ratio(
    name: str,
    samples: Iterable[Sample],
    ours: Cell,
    theirs: Cell,
    goal: float | None,
    by: By = "rate",
) -> Ratio | None:
    """`ours` over `theirs`, from the rounds that have both; None if no round has."""
    by_round: dict[int, dict[Cell, float]] = {}
    for sample in samples:
        if sample.fault is None and (figure := _FIGURES[by](sample)):
            by_round.setdefault(sample.round, {})[sample.row, sample.scenario] = figure
    values = [
        cells[ours] / cells[theirs]
        for cells in by_round.values()
        if ours in cells and theirs in cells
    ]
    return Ratio(name, Spread.of(values), goal, by, len(values)) if values else None


def goals(slow_disk: bool) -> list[tuple[str, Cell, Cell, float | None]]:
    """What is compared with what, and what it should come to, on this machine's disk or at 2 ms
    per commit."""
    us = "holdfast"
    rivals: dict[str, dict[str, float | None]] = {
        "hot": {
            "conditional": 10.0 if slow_disk else 5.0,
            "one_statement": 2.0,
            "orm": 6.0,
            "redis_counter": None,
            "group_commit": 1.0,
        },
        "spread": {
            "conditional": 1.8,
            "one_statement": 1.0,
            "orm": None,
            "redis_counter": None,
            "group_commit": 1.0,
        },
        "sold out": {
            "conditional": 2.0,
            "one_statement": None,
            "orm": None,
            "redis_counter": None,
            "group_commit": 1.0,
        },
        "sale hot": {"conditional": 3.0, "orm": None},
        "sale spread": {"conditional": 1.3, "orm": None},
    }
    pairs = [
        (f"{scenario}: ours / {rival}", (us, scenario), (rival, scenario), goal)
        for scenario, some in rivals.items()
        for rival, goal in some.items()
    ]
    pairs.append(("ours: hot / spread", (us, "hot"), (us, "spread"), 0.8))
    pairs.append(("ours: sold out / hot", (us, "sold out"), (us, "hot"), 2.0))
    return pairs


def ratios(samples: Sequence[Sample], *, slow_disk: bool) -> list[Ratio]:
    """Every comparison that the samples allow, by rate and by CPU time."""
    by: tuple[By, ...] = ("rate", "CPU")
    made = (
        ratio(name, samples, ours, theirs, goal, kind)
        for name, ours, theirs, goal in goals(slow_disk)
        for kind in by
    )
    return [found for found in made if found is not None]


def as_json(lines: Iterable[Line], compared: Iterable[Ratio]) -> dict[str, Any]:
    """The same for machines."""
    return {
        "summary": [
            {
                "row": line.row,
                "scenario": line.scenario,
                "per_second": line.per_second.as_json(),
                "p50_ms": line.p50_ms.as_json(),
                "p99_ms": line.p99_ms.as_json(),
                "errors": line.errors,
                "cpu_us_per_request": {k: _rounded(v) for k, v in line.cpu_us.items()},
            }
            for line in lines
        ],
        "ratios": [
            {"name": ratio.name, "by": ratio.by, **ratio.value.as_json(), "goal": ratio.goal}
            for ratio in compared
        ],
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
