"""Promise 10: a node of Ray is lost. A second one joins the copy on this machine, a shard host
comes to run on it, and it is killed with all that it runs: other shards are served as if nothing
had happened, those of its host by the other one, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from actors.runtime.wire import shard_of
from cli.supervisor.ray_start import node_parameters, ray_dir
from store.embedded.leftovers import is_alive, signal_process
from tests.chaos.audit import audit, settle
from tests.chaos.load import Load
from tests.chaos.test_kill_under_load import chosen_seed
from tests.chaos.world import Business, make_businesses
from tests.conftest import fresh_settings
from tests.promises import Tally
from tests.stack import FIRST_PORT, Stack

BUSINESSES, CLIENTS = 12, 12
START_SECONDS = 120.0
# Fifteen are promised, to a machine that has some to spare.
BACK_SECONDS = 60.0

pytestmark = [
    pytest.mark.skipif("HOLDFAST_CHAOS" not in os.environ, reason="make chaos has time for it"),
    pytest.mark.timeout(900),
]


# What `ray start --address` does; that itself refuses a copy on one machine, which is told that
# it has no others.
_JOINS = """
import json, sys
from ray._private.node import Node
from ray._private.parameter import RayParams
parameters = RayParams(**json.loads(sys.argv[1]))
Node(parameters, head=False, shutdown_at_exit=False, spawn_reaper=False)
"""


@contextmanager
def second_node(stack: Stack, home: Path) -> Iterator[psutil.Process]:
    """Its raylet, in the environment of the first, with ports of its own."""
    first = _raylets(stack)
    address = "127.0.0.1"
    parameters = node_parameters(fresh_settings(home, port=FIRST_PORT + 260)) | {
        "gcs_address": f"{address}:{stack.settings.ports.gcs}",
        "node_ip_address": address,
        "temp_dir": str(ray_dir(stack.settings)),
    }
    said = home.with_suffix(".log")
    try:
        with said.open("wb") as output:
            started = subprocess.run(
                (sys.executable, "-c", _JOINS, json.dumps(parameters)),
                # It registers when its agents have started, which are slow to load.
                env=first[0].environ() | {"RAY_raylet_start_wait_time_s": f"{START_SECONDS:.0f}"},
                timeout=START_SECONDS,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        assert started.returncode == 0, said.read_text()
        (node,) = set(_raylets(stack)) - set(first)
        yield node
    finally:
        for raylet in set(_raylets(stack)) - set(first):
            kill_node(raylet)


def _raylets(stack: Stack) -> list[psutil.Process]:
    return [
        process
        for process in stack.processes("raylet/raylet")
        if process.name() == "raylet" and is_alive(process)
    ]


def kill_node(raylet: psutil.Process) -> None:
    """With all that runs on it, as a machine that loses its power."""
    if is_alive(raylet):
        workers = raylet.children(recursive=True)
        for process in (raylet, *workers):
            signal_process(process, signal.SIGKILL)


def _on(node: psutil.Process, stack: Stack) -> list[psutil.Process]:
    workers = set(node.children(recursive=True))
    return [host for host in stack.hosts() if host in workers]


async def _until(holds: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.1)


async def _host_moves_to(node: psutil.Process, stack: Stack) -> psutil.Process:
    """Ray starts a host that was killed where it sees fit: until one is on the node."""
    for _ in range(20):
        await _until(lambda: len(stack.hosts()) == stack.settings.hosts and stack.is_ready())
        if found := _on(node, stack):
            return found[0]
        signal_process(stack.hosts()[0], signal.SIGKILL)
        await asyncio.sleep(0.5)
    raise AssertionError("no host came to run on the second node")


async def _affected(stack: Stack, host: psutil.Process, all_: list[Business]) -> list[Business]:
    """Those whose shards the host owns."""
    database = await stack.database()
    try:
        rows = await database.fetch(
            "SELECT l.shard, (SELECT value::int FROM installation WHERE name = 'shards') AS shards"
            " FROM shard_leases l JOIN shard_hosts h ON h.id = l.host_id WHERE h.pid = $1",
            host.pid,
        )
    finally:
        await database.close()
    owned = {row["shard"] for row in rows}
    return [business for business in all_ if shard_of(business.tenant, rows[0]["shards"]) in owned]


async def test_a_node_is_lost(
    victim: Stack, tmp_path: Path, figures: list[str], tally: Tally
) -> None:
    await asyncio.to_thread(victim.wait_ready)
    with second_node(victim, tmp_path / "node") as node:
        host = await _host_moves_to(node, victim)
        businesses = await make_businesses(victim, BUSINESSES)
        load = Load(victim.settings.port, businesses, CLIENTS, chosen_seed())
        load.start()
        try:
            await load.all_served(time.monotonic(), BACK_SECONDS)
            affected = await _affected(victim, host, businesses)
            others = [business for business in businesses if business not in affected]
            assert affected, "the host on the second node owns nothing"
            assert others
            struck = time.monotonic()
            kill_node(node)
            unaffected_seconds, affected_seconds = await asyncio.gather(
                _served(others, struck), _served(affected, struck)
            )
        finally:
            await load.stop()
        figures.append(
            f"node lost: {len(others)} businesses served within {unaffected_seconds:.1f} s, the"
            f" {len(affected)} of its host after {affected_seconds:.1f} s"
        )
        # Nobody waits for the node who has nothing to do with it.
        assert unaffected_seconds < affected_seconds
        await _until(lambda: len(victim.hosts()) == victim.settings.hosts and victim.is_ready())
    await settle(victim, businesses)
    found = await audit(victim, businesses, load.log)
    assert not load.wrong, load.wrong[:3]
    assert found.is_clean, found
    tally(nodes_lost=1, commands=len(load.log), audits=1)


async def _served(some: list[Business], since: float) -> float:
    """Seconds until each of them had something done that was asked for after `since`."""
    async with asyncio.timeout(BACK_SECONDS):
        while min(business.last_done for business in some) < since:
            await asyncio.sleep(0.02)
    return time.monotonic() - since
