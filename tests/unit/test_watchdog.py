"""A process whose event loop hangs is ended; one that was merely stopped goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from actors.runtime.watchdog import HUNG_SECONDS, HUNG_WITHOUT_LEASE_SECONDS, Watchdog

HANGS = "while True: pass"
TURNS = "await asyncio.sleep(60)"
PROGRAM = """
import asyncio, os
from actors.runtime.watchdog import Watchdog

async def main():
    Watchdog(lambda: os._exit(7), hung_seconds=0.4, look_seconds=0.1).start(
        asyncio.get_running_loop())
    await asyncio.sleep(0.3)
    print("begun", flush=True)
    {work}

asyncio.run(main())
"""


def _begin(work: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(work=work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout
    assert process.stdout.readline() == b"begun\n"
    return process


def test_an_endless_loop_is_ended() -> None:
    with _begin(HANGS) as process:
        assert process.wait(30) == 7


def test_who_was_stopped_is_not_at_fault() -> None:
    with _begin(TURNS) as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        process.send_signal(signal.SIGCONT)
        time.sleep(1)
        assert process.poll() is None
        process.kill()


def test_it_waits_longer_for_one_that_holds_a_lease() -> None:
    for holds, limit in ((True, HUNG_SECONDS), (False, HUNG_WITHOUT_LEASE_SECONDS)):
        left: list[int] = []
        dog = Watchdog(lambda left=left: left.append(1), lambda holds=holds: holds)
        looks = int(limit / 0.5)
        assert not any(dog.look(False) for _ in range(looks - 1))
        assert not dog.look(True)
        assert not any(dog.look(False) for _ in range(looks - 1))
        assert dog.look(False)
        assert left == [1]
