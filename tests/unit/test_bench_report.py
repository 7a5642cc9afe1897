"""The arithmetic of the benchmark's report: no timing is asserted anywhere."""

from __future__ import annotations

import pytest

from bench.report import Sample, Spread, as_json, ratio, ratios, summarize


def sample(contender: str, per_second: float, **changes: object) -> Sample:
    plain: dict[str, object] = {
        "round": 0,
        "contender": contender,
        "scenario": "hot",
        "keyed": True,
        "per_second": per_second,
        "p50_ms": 1.0,
        "p99_ms": 10.0,
        "errors": 0,
        "cpu_us": {"workers": 100.0},
    }
    return Sample(**(plain | changes))  # type: ignore[arg-type]


def test_a_spread_is_middle_and_ends() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)
    assert Spread.of([3.0, 1.0]) == Spread(2.0, 1.0, 3.0)


def test_rounds_of_one_row_are_summarized_together() -> None:
    lines = summarize(
        [
            sample("holdfast", 300.0, errors=1),
            sample("orm", 100.0),
            sample("holdfast", 500.0, round=1, errors=2, cpu_us={"workers": 300.0, "hosts": 7.0}),
        ]
    )
    assert [line.row for line in lines] == ["holdfast", "orm"]
    assert lines[0].per_second == Spread(400.0, 300.0, 500.0)
    assert lines[0].errors == 3
    assert lines[0].cpu_us == {"workers": 200.0, "hosts": 3.5}


def test_runs_without_keys_and_other_scenarios_are_rows_of_their_own() -> None:
    lines = summarize(
        [
            sample("holdfast", 1.0),
            sample("holdfast", 2.0, keyed=False),
            sample("holdfast", 3.0, scenario="spread"),
        ]
    )
    assert [(line.row, line.scenario) for line in lines] == [
        ("holdfast", "hot"),
        ("holdfast, no key", "hot"),
        ("holdfast", "spread"),
    ]


def test_a_void_sample_counts_for_nothing() -> None:
    found = [sample("holdfast", 900.0, fault="oversold"), sample("conditional", 100.0)]
    assert [line.row for line in summarize(found)] == ["conditional"]
    assert ratio("r", found, ("holdfast", "hot"), ("conditional", "hot"), None) is None


def test_a_ratio_is_taken_within_each_round() -> None:
    """The machine was three times as slow in the second round, which changes no ratio."""
    found = [
        sample("holdfast", 900.0, round=0),
        sample("conditional", 300.0, round=0),
        sample("holdfast", 300.0, round=1),
        sample("conditional", 100.0, round=1),
        sample("holdfast", 5_000.0, round=2),
    ]
    made = ratio("r", found, ("holdfast", "hot"), ("conditional", "hot"), 3.0)
    assert made is not None
    assert made.value == Spread(3.0, 3.0, 3.0)


def test_the_goals_follow_the_disk() -> None:
    found = [sample("holdfast", 800.0), sample("conditional", 100.0)]
    fast, slow = (ratios(found, slow_disk=slow)[0] for slow in (False, True))
    assert (fast.name, fast.value.median) == ("hot: ours / conditional", 8.0)
    assert (fast.goal, slow.goal) == (5.0, 10.0)


def test_cpu_time_is_compared_without_the_load() -> None:
    """A contender that spends a quarter of the other's time on a request is four times as good."""
    found = [
        sample("holdfast", 1.0, cpu_us={"replicas": 60.0, "Postgres": 40.0, "load": 900.0}),
        sample("conditional", 1.0, cpu_us={"workers": 400.0, "load": 100.0}),
    ]
    assert [(ratio.by, ratio.value.median) for ratio in ratios(found, slow_disk=False)] == [
        ("rate", 1.0),
        ("CPU", 4.0),
    ]


def test_the_report_for_machines() -> None:
    found = [
        sample("holdfast", 1234.5678),
        sample("conditional", 100.0),
        sample("holdfast", 2000.0, scenario="sold out"),
    ]
    document = as_json(summarize(found), ratios(found, slow_disk=False))
    first = document["summary"][0]
    assert first["per_second"] == {"median": 1235.0, "min": 1235.0, "max": 1235.0}
    assert first["cpu_us_per_request"] == {"workers": 100.0}
    assert {(ratio["name"], ratio["by"]): ratio["median"] for ratio in document["ratios"]} == {
        ("hot: ours / conditional", "rate"): pytest.approx(12.35),
        ("hot: ours / conditional", "CPU"): 1.0,
        ("ours: sold out / hot", "rate"): pytest.approx(1.62),
        ("ours: sold out / hot", "CPU"): 1.0,
    }
