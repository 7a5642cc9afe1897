"""How often Python looks for cycles in a process that serves."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 50_000


def collect_seldom() -> None:
    """Call it once a process has what it keeps for good.

    By default the collector runs with every few hundred new objects, and a batch of commands makes
    tens of thousands, hardly any of them in a cycle: it took half of a host's time. What is there
    already is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
