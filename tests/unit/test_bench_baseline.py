"""Which ratios have fallen since the baseline: worse by more than the rounds differ anyway."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.baseline import MIN_NOISE, Baseline, fallen, keep, noise, read
from bench.report import Ratio, Spread

STEADY, ROUGH = Spread(4.0, 4.0, 4.0), Spread(4.0, 3.0, 5.0)


def _baseline(value: Spread) -> Baseline:
    return Baseline("2026-11-28T10:00:00+00:00", "abc", {("hot: ours / orm", "rate"): value})


def _now(value: Spread, name: str = "hot: ours / orm") -> list[Ratio]:
    return [Ratio(name, value, None)]


def test_noise_is_what_the_rounds_differ_by() -> None:
    assert noise(STEADY, STEADY) == MIN_NOISE
    assert noise(ROUGH, STEADY) == pytest.approx(0.25)
    assert noise(ROUGH, ROUGH) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("before", "now", "has_fallen"),
    [
        (STEADY, Spread(3.7, 3.7, 3.7), False),
        (STEADY, Spread(3.5, 3.5, 3.5), True),
        (STEADY, Spread(3.5, 3.0, 4.0), False),
        (ROUGH, Spread(3.1, 3.1, 3.1), False),
        (ROUGH, Spread(2.9, 2.9, 2.9), True),
        (STEADY, Spread(9.0, 9.0, 9.0), False),
    ],
)
def test_a_ratio_has_fallen_when_noise_does_not_explain_it(
    before: Spread, now: Spread, has_fallen: bool
) -> None:
    found = fallen(_baseline(before), _now(now))
    assert bool(found) is has_fallen
    assert all((ratio.before, ratio.now) == (4.0, now.median) for ratio in found)


def test_what_only_one_of_them_has_is_not_compared() -> None:
    low = Spread(0.1, 0.1, 0.1)
    assert not fallen(_baseline(STEADY), _now(low, "another"))
    assert not fallen(_baseline(STEADY), [Ratio("hot: ours / orm", low, None, "CPU")])


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    assert read(path) is None
    ratios = [Ratio("hot: ours / orm", ROUGH, 6.0, "CPU", 4), *_now(STEADY)]
    keep("2026-11-28T10:00:00+00:00", "abc", ratios, path)
    assert read(path) == Baseline(
        "2026-11-28T10:00:00+00:00",
        "abc",
        {("hot: ours / orm", "CPU"): ROUGH, ("hot: ours / orm", "rate"): STEADY},
    )
