"""Hosts that were lost and still run are ended from outside, and nobody else is."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator

import asyncpg
import pytest

from actors.runtime.orphans import end_orphans
from actors.runtime.upkeep import birth_of
from core.ids import uuid7
from store.hosts import leases
from store.hosts.leases import Incarnation
from tests.runtime.kit import Urls

MACHINE = "this machine"


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that are stopped: SIGTERM would not end them."""
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    started = [subprocess.Popen(command) for _ in range(4)]
    for process in started:
        process.send_signal(signal.SIGSTOP)
    yield started
    for process in started:
        process.kill()
        process.wait()


async def test_lost_hosts_are_ended_by_pid_and_birth(
    urls: Urls, sleepers: list[subprocess.Popen[bytes]]
) -> None:
    lost, alive, recycled, elsewhere = (process.pid for process in sleepers)
    hosts = [
        Incarnation(uuid7(), "lost", MACHINE, lost, "build", birth_of(lost)),
        Incarnation(uuid7(), "alive", MACHINE, alive, "build", birth_of(alive)),
        Incarnation(uuid7(), "recycled", MACHINE, recycled, "build", birth_of(recycled) - 1),
        Incarnation(uuid7(), "elsewhere", "another", elsewhere, "build", birth_of(elsewhere)),
    ]
    connection = await asyncpg.connect(urls.host)
    try:
        for host in hosts:
            await leases.register(connection, host)
        assert await asyncio.to_thread(end_orphans, urls.host, MACHINE) == []
        await leases.expire(connection, [host.id for host in hosts if host.name != "alive"])
        assert len(await leases.mark_lost(connection)) == 3
    finally:
        await connection.close()
    ended = await asyncio.to_thread(end_orphans, urls.host, MACHINE)
    assert [host.name for host in ended] == ["lost"]
    assert sleepers[0].wait(10) == -signal.SIGKILL
    assert [process.poll() for process in sleepers[1:]] == [None, None, None]
    # Who is gone is not asked for again.
    assert await asyncio.to_thread(end_orphans, urls.host, MACHINE) == []
    assert await asyncio.to_thread(leases.orphans, urls.host, MACHINE) == []
