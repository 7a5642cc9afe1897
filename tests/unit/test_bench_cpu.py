"""CPU time by group, while processes come and go."""

from __future__ import annotations

import pytest

from bench.cpu import Reading, spent


def test_what_is_there_all_the_time_counts_what_it_spent() -> None:
    before = {1: Reading("hosts", 0, 5.0, 0.0), 2: Reading("replicas", 0, 7.0, 1.0)}
    after = {1: Reading("hosts", 0, 5.5, 0.0), 2: Reading("replicas", 0, 8.0, 1.0)}
    assert spent(before, after) == {"hosts": 0.5, "replicas": 1.0}


def test_what_begins_counts_from_its_beginning() -> None:
    assert spent({}, {3: Reading("Postgres", 1, 0.25, 0.0)}) == {"Postgres": 0.25}


def test_what_ends_counts_through_its_parent() -> None:
    before = {1: Reading("Postgres", 0, 1.0, 9.0), 2: Reading("Postgres", 1, 4.0, 0.0)}
    after = {1: Reading("Postgres", 0, 1.0, 13.5)}
    assert spent(before, after)["Postgres"] == pytest.approx(0.5)


def test_a_parent_that_takes_no_notice_makes_nothing_negative() -> None:
    before = {1: Reading("rest of Ray", 0, 1.0, 0.0), 2: Reading("rest of Ray", 1, 4.0, 0.0)}
    after = {1: Reading("rest of Ray", 0, 1.5, 0.0)}
    assert spent(before, after) == {"rest of Ray": 0.5}
