"""The ratios of the last landed full run, and which of them have fallen since.

Figures of different days say little, ratios within one run do. A ratio has fallen when it is lower
than it was by more than noise: the spread of its rounds then and now, half of it to each side, and
`MIN_NOISE` where the rounds happen to agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import Ratio, Spread

PATH = Path(__file__).with_name("baseline.json")
MIN_NOISE = 0.1

Key = tuple[str, str]  # name, and by what


@dataclass(frozen=True, slots=True)
class Baseline:
    """`commit` and `at` say what was measured and when."""

    at: str
    commit: str | None
    ratios: dict[Key, Spread]


@dataclass(frozen=True, slots=True)
class Fallen:
    """One ratio: its median then and now, and by which share it may differ by chance."""

    name: str
    by: str
    before: float
    now: float
    noise: float

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "by": self.by,
            "before": round(self.before, 3),
            "now": round(self.now, 3),
            "noise": round(self.noise, 3),
        }


def noise(before: Spread, now: Spread) -> float:
    """By which share of its median a ratio may differ from itself by chance."""
    return max(MIN_NOISE, _half(before) + _half(now))


def _half(value: Spread) -> float:
    return (value.high - value.low) / 2 / value.median if value.median else 0.0


def fallen(before: Baseline, now: Iterable[Ratio]) -> list[Fallen]:
    """Those that both have and that are worse now than noise explains."""
    found = []
    for ratio in now:
        was = before.ratios.get((ratio.name, ratio.by))
        if was is None:
            continue
        may_differ = noise(was, ratio.value)
        if ratio.value.median < was.median * (1 - may_differ):
            found.append(Fallen(ratio.name, ratio.by, was.median, ratio.value.median, may_differ))
    return found


def keep(at: str, commit: str | None, ratios: Iterable[Ratio], path: Path = PATH) -> None:
    """Writes what later runs are compared with."""
    document = {
        "at": at,
        "commit": commit,
        "ratios": [
            {"name": ratio.name, "by": ratio.by, "rounds": ratio.rounds, **ratio.value.as_json()}
            for ratio in ratios
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def read(path: Path = PATH) -> Baseline | None:
    """What was kept; None if nothing was."""
    if not path.exists():
        return None
    document = json.loads(path.read_text())
    ratios = {
        (ratio["name"], ratio["by"]): Spread(ratio["median"], ratio["min"], ratio["max"])
        for ratio in document["ratios"]
    }
    return Baseline(document["at"], document["commit"], ratios)
