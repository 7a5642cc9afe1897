"""`PYTHONHASHSEED=0 python -m tests.sim FIRST COUNT [SABOTAGE]`: lives the lives of so many seeds.

Ends with 1 when one of them broke a promise; its seed replays it exactly.
"""

from __future__ import annotations

import logging
import random
import sys
import time
from collections import Counter

import pytest
import structlog

from tests.runtime import sabotage
from tests.sim import mutations
from tests.sim.life import live


def main(first: int, count: int, off: str = "") -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    patch = pytest.MonkeyPatch()
    if off:
        getattr(mutations, off, None) or getattr(sabotage, off)
        (getattr(mutations, off, None) or getattr(sabotage, off))(patch)
    began = time.monotonic()
    totals: Counter[str] = Counter()
    for seed in range(first, first + count):
        # The bus draws its pauses from the one generator that all of Python shares.
        random.seed(seed)
        life = live(seed)
        totals.update(
            seeds=1,
            broken=bool(life.faults),
            operations=life.operations,
            unknown=life.unknown,
            commits=life.commits,
        )
        if life.faults:
            print(f"seed {seed} ({life.digest}): {len(life.faults)} faults, {life.faults[0]}")
        elif count == 1:
            print(f"seed {seed} ({life.digest}): {life}")
    print(dict(totals), f"in {time.monotonic() - began:.1f} s")
    return 1 if totals["broken"] else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
