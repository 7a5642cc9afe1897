"""Promise 11: a deploy is invisible. Under load the hosts of another build take over shard by
shard, replicas make room for each other, and the hosts of the build before end.

A connection that HAProxy closes between two requests is none of a failed read: an HTTP client opens
another one. It is counted and printed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from store.embedded.leftovers import is_alive
from tests.chaos.audit import audit, settle
from tests.chaos.client import Client, Unknown
from tests.chaos.load import Load
from tests.chaos.test_kill_under_load import chosen_seed
from tests.chaos.trader import make_trader
from tests.chaos.world import Business, make_businesses
from tests.promises import Tally
from tests.stack import FIRST_PORT, Stack, copy_environment, running_stack

BUSINESSES, CLIENTS = 4, 8
DEPLOY_SECONDS = 300.0
# Of the writes, how many may be told to come again.
REFUSED_SHARE = 0.0001
MUTANT = Path(__file__).with_name("mutants") / "blocking"

pytestmark = [
    pytest.mark.skipif("HOLDFAST_CHAOS" not in os.environ, reason="make chaos has time to deploy"),
    pytest.mark.timeout(1_200),
]


@dataclass
class Readers:
    """What everybody may read and what a business reads of its own, again and again."""

    port: int
    answered: int = 0
    closed: int = 0
    failed: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    ending: bool = False

    async def run(self, business: Business) -> None:
        client = Client(self.port, business.token)
        product = business.ample[0]
        while not self.ending:
            for path in (f"/api/inventory/{product}", f"/api/products/{product}"):
                await self._read(client, path)
            await asyncio.sleep(0.02)
        client.hang_up()

    async def _read(self, client: Client, path: str) -> None:
        began = time.monotonic()
        try:
            await client.get(path)
            self.answered += 1
        except Unknown as unknown:
            if isinstance(unknown.__cause__, (EOFError, ConnectionError)):
                self.closed += 1
            else:
                self.failed.append(f"{path}: {unknown}")
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)


@dataclass(frozen=True)
class Aftermath:
    """`refused`: tries of a write that were told to come again; of `attempts`."""

    load: Load
    readers: Readers
    deploy_seconds: float
    attempts: int
    refused: int
    found: str

    def __str__(self) -> str:
        readers = self.readers
        return (
            f"deploy: {self.deploy_seconds:.0f} s; {readers.answered} reads,"
            f" {len(readers.failed)} failed, {readers.closed} connections closed before one,"
            f" slowest {readers.slowest_seconds:.1f} s; {self.attempts} writes, {self.refused}"
            f" told to come again; {self.found}"
        )

    def check(self) -> None:
        assert not self.load.wrong, "\n".join(self.load.wrong[:10])
        assert not self.readers.failed, self.readers.failed[:3]
        assert self.refused <= self.attempts * REFUSED_SHARE, self


async def deployed_under_load(stack: Stack) -> Aftermath:
    """Raises AssertionError where something was lost, doubled, or left of the build before."""
    seed = chosen_seed()
    before = stack.hosts()
    businesses = await make_businesses(stack, BUSINESSES)
    load = Load(stack.settings.port, businesses, CLIENTS, seed)
    readers = Readers(stack.settings.port)
    trader = await make_trader(stack, seed)
    load.start()
    others = [asyncio.create_task(readers.run(business)) for business in businesses]
    others.append(asyncio.create_task(trader.run()))
    began = time.monotonic()
    try:
        await load.all_served(began, DEPLOY_SECONDS)
        began = time.monotonic()
        await _deploy(stack, f"b{uuid4().hex[:8]}")
        deploy_seconds = time.monotonic() - began
        await load.all_served(time.monotonic(), DEPLOY_SECONDS)
    finally:
        readers.ending = trader.ending = True
        await asyncio.gather(load.stop(), *others)
    assert not any(map(is_alive, before)), "hosts of the build before are there"
    if not readers.failed:
        await settle(stack, businesses)
    found = await audit(stack, businesses, load.log)
    found.other += await trader.contradictions()
    assert found.is_clean, found
    attempts = sum(command.attempts for command in load.log)
    refused = sum(count for what, count in load.counts.items() if what.startswith("unknown: 5"))
    return Aftermath(load, readers, deploy_seconds, attempts, refused, str(found))


async def _deploy(stack: Stack, build: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "deploy"),
        env=copy_environment(stack.settings) | {"HOLDFAST_BUILD": build},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(DEPLOY_SECONDS):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert f"Build {build} serves" in said.decode()


async def test_a_deploy_is_invisible(victim: Stack, figures: list[str], tally: Tally) -> None:
    aftermath = await deployed_under_load(victim)
    figures.append(str(aftermath))
    aftermath.check()
    owners = await _owners(victim)
    assert len(owners) == victim.settings.hosts, owners
    tally(deploys=1, reads=aftermath.readers.answered, writes=aftermath.attempts, audits=1)


async def test_a_deploy_that_stops_the_door_is_noticed(
    tmp_path: Path, figures: list[str], tally: Tally
) -> None:
    home = tmp_path / "home"
    broken = {"PYTHONPATH": str(MUTANT)}
    with running_stack(home, port=FIRST_PORT + 300, environment=broken) as stack:
        assert (home / "mutated").exists(), "the mutant did not find what it breaks"
        aftermath = await deployed_under_load(stack)
        figures.append(f"as Serve does it: {aftermath}")
        with pytest.raises(AssertionError):
            aftermath.check()


async def _owners(stack: Stack) -> Counter[str]:
    """Names of the hosts that own shards; all of one build."""
    database = await stack.database()
    try:
        rows = await database.fetch(
            "SELECT h.name, h.build FROM shard_leases l JOIN shard_hosts h ON h.id = l.host_id"
        )
    finally:
        await database.close()
    assert len({row["build"] for row in rows}) == 1, rows
    return Counter(row["name"] for row in rows)
