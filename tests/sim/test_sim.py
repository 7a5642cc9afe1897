"""Promise 14: the real hosts, keeper and buses live through simulated lives in which calls are
lost and repeated, connections cut and processes stopped and killed. A seed replays its life."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator

import pytest
import structlog

from tests.promises import Tally
from tests.runtime.conftest import LONG
from tests.sim import mutations
from tests.sim.life import live

# Others in each run.
SEEDS = 10_000 if LONG else 60
# How many lives it takes at most until a mechanism is missed.
LIVES_UNTIL_CAUGHT = 3_000 if LONG else 200
# Missed in every few lives; the others only now and then, which takes longer than a short run has:
# what new epochs are for, `tests/runtime/test_unknown_commit.py` shows each time.
SELDOM_MISSED = (mutations.tenure_unchecked, mutations.recovery_epochs_off)
SOON_MISSED = [mutation for mutation in mutations.ALL if mutation not in SELDOM_MISSED]


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    before = structlog.get_config()
    wrapper = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=wrapper, cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)


def test_no_life_breaks_a_promise(tally: Tally) -> None:
    first = random.randrange(10**9)
    print(f"seeds: {first} to {first + SEEDS - 1}")
    operations = unknown = 0
    for seed in range(first, first + SEEDS):
        life = live(seed)
        assert not life.faults, life
        operations += life.operations
        unknown += life.unknown
    print(
        f"{SEEDS} lives, {operations} operations, {unknown} of unknown outcome: no promise broken"
    )
    assert unknown
    tally(lives=SEEDS, operations=operations, unknown=unknown)


def test_a_seed_replays_its_life() -> None:
    seed = random.randrange(10**9)
    assert live(seed).digest == live(seed).digest, f"seed {seed}"


@pytest.mark.parametrize(
    "off", mutations.ALL if LONG else SOON_MISSED, ids=lambda off: off.__name__
)
def test_a_missing_mechanism_is_caught(
    off: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    off(monkeypatch)
    assert any(_breaks(seed) for seed in range(LIVES_UNTIL_CAUGHT))


def _breaks(seed: int) -> bool:
    """Whether a life breaks a promise, or shows its clients what cannot be."""
    try:
        return bool(live(seed).faults)
    except AssertionError:
        return True
