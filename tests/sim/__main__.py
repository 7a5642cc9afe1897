"""`PYTHONHASHSEED=0 python -m tests.sim FIRST COUNT [MUTATION]`: lives the lives of so many seeds.

Ends with 1 when one of them broke a promise; its seed replays it exactly.
"""

from __future__ import annotations

import logging
import sys

import pytest
import structlog

from tests.sim import mutations
from tests.sim.life import live


def main(first: int, count: int, off: str = "") -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if off:
        getattr(mutations, off)(pytest.MonkeyPatch())
    broken = 0
    for seed in range(first, first + count):
        life = live(seed)
        broken += bool(life.faults)
        if life.faults or count == 1:
            print(life)
    print(f"{count} lives, {broken} broke a promise")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
