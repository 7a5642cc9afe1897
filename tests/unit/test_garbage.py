"""What a burst of requests needed is given back."""

from __future__ import annotations

import subprocess
import sys

# A burst leaves cycles that the collector has passed twice: it takes them for old, and looks at
# them again only after millions of new objects.
PROGRAM = """
import gc
import psutil
from core.garbage import Tidying, collect_seldom

def resident_bytes():
    return psutil.Process().memory_info().rss

collect_seldom()
tidying = Tidying()
assert not tidying.look(0.01), "nothing has happened"
assert not tidying.look(0.9), "not while it is busy"

def burst():
    some = []
    for _ in range(2_000):
        one = [bytes(40_000)]
        one.append(one)
        some.append(one)
    gc.collect(0)
    gc.collect(1)

before = resident_bytes()
burst()
after = resident_bytes()
assert after > before + 60_000_000, "a burst needs memory"
{tidy}
print(resident_bytes() - before)
"""


def _left_bytes(tidy: str) -> int:
    command = [sys.executable, "-c", PROGRAM.format(tidy=tidy)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_memory_goes_back_after_a_burst() -> None:
    assert _left_bytes("assert tidying.look(0.01)") < 20_000_000
    assert _left_bytes("") > 60_000_000, "it would not by itself"


# What is kept counts as looked at in each generation up to the one that is collected.
KEEPING = """
import gc
from core.garbage import collect_seldom

collect_seldom()
most = 0

def note(phase, info):
    global most
    if phase == "start":
        looked_at = range(info["generation"] + 1)
        most = max(most, sum(len(gc.get_objects(generation)) for generation in looked_at))

gc.callbacks.append(note)
kept = [[] for _ in range(1_500_000)]
print(most)
"""


def test_no_look_takes_long_however_much_is_kept() -> None:
    command = [sys.executable, "-c", KEEPING]
    most = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert 0 < most < 30_000
