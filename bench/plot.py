"""The report as a picture: requests per second, and how many times as fast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from bench.report import Line, Ratio
from bench.table import title

matplotlib.use("Agg")

_OURS, _OTHERS, _GOAL = "#d9480f", "#868e96", "#1c7ed6"


def draw(path: Path, lines: Sequence[Line], compared: Sequence[Ratio], caption: str) -> None:
    """Writes a PNG. Bars are medians over the rounds, whiskers go from the least to the most."""
    scenarios = list(dict.fromkeys(line.scenario for line in lines))
    figure = Figure(figsize=(12, 3.2 * len(scenarios)), layout="constrained")
    grid = figure.subplots(len(scenarios), 2, squeeze=False)
    for axes, scenario in zip(grid, scenarios, strict=True):
        _requests(axes[0], scenario, [line for line in lines if line.scenario == scenario])
        _ratios(axes[1], _by_rate(scenario, compared))
    figure.suptitle(caption, fontsize=9)
    figure.savefig(path, dpi=110)


def _by_rate(scenario: str, compared: Sequence[Ratio]) -> list[Ratio]:
    start = f"{scenario}: ours /"
    return [ratio for ratio in compared if ratio.by == "rate" and ratio.name.startswith(start)]


def _requests(axes: Any, scenario: str, lines: Sequence[Line]) -> None:
    ordered = sorted(lines, key=lambda line: line.per_second.median)
    middles = [line.per_second.median for line in ordered]
    low = [line.per_second.median - line.per_second.low for line in ordered]
    high = [line.per_second.high - line.per_second.median for line in ordered]
    colours = [_OURS if line.row.startswith("holdfast") else _OTHERS for line in ordered]
    names = [title(line.row) for line in ordered]
    axes.barh(names, middles, xerr=[low, high], color=colours, error_kw={"elinewidth": 1})
    axes.set_title(f"{scenario}: requests per second", loc="left", fontsize=10)
    axes.tick_params(labelsize=8)


def _ratios(axes: Any, compared: Sequence[Ratio]) -> None:
    ordered = compared[::-1]
    middles = [ratio.value.median for ratio in ordered]
    low = [ratio.value.median - ratio.value.low for ratio in ordered]
    high = [ratio.value.high - ratio.value.median for ratio in ordered]
    names = ["/ " + title(ratio.name.rpartition("/ ")[2]) for ratio in ordered]
    axes.barh(names, middles, xerr=[low, high], color=_OURS, error_kw={"elinewidth": 1})
    for place, ratio in enumerate(ordered):
        if ratio.goal is not None:
            axes.plot([ratio.goal] * 2, [place - 0.4, place + 0.4], color=_GOAL, linewidth=2)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_title(
        "how many times as fast as others we are (goal in blue)", loc="left", fontsize=10
    )
    axes.tick_params(labelsize=8)
