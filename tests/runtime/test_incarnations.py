"""Hosts are called by name, owners are incarnations: what tells one from the next."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import asyncpg
import pytest

from actors.runtime.upkeep import birth_of, end_processes, is_running, machine_id
from actors.stock import model as m
from core.ids import uuid7
from store.hosts import leases
from store.hosts.journal import HostStore
from store.hosts.leases import LEASE_SECONDS, Incarnation
from tests.runtime.audit import audit
from tests.runtime.clients import Shop
from tests.runtime.conftest import PATIENCE
from tests.runtime.kit import Urls, running
from tests.runtime.node import DEAD_PIDS, Node


async def test_who_takes_a_name_ends_whoever_had_it(urls: Urls) -> None:
    """A host is cut off from everybody but the database; Ray starts another one elsewhere under
    its name. Nobody can call the old one any more, so it must not keep its shards by renewing."""
    async with running(urls, 1, streams=False) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        old = cluster.nodes["h0"]
        cluster.machine = "another machine"
        cluster.hosts.former.append(old)
        cluster.nodes["h0"] = young = cluster._make("h0")
        began = time.monotonic()
        await young.started()
        assert isinstance(await shop.insist(shop.reserve(product)), m.Hold)
        print(f"served {time.monotonic() - began:.1f} s after the name was taken")
        assert time.monotonic() - began < (LEASE_SECONDS + 3) * PATIENCE
        assert old.left, "it was told that it is over"
        assert (await audit(urls, shop.log)).clean


def _process() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


async def test_who_takes_a_name_on_the_same_machine_waits_for_nobody(urls: Urls) -> None:
    """A Ray died, what it served goes on, and a new one starts its hosts beside them."""
    machine = machine_id()
    async with running(urls, 1, streams=False) as cluster:
        with _process() as child:
            before = Incarnation(uuid7(), "h0", machine, child.pid, "", birth_of(child.pid))
            old = HostStore(urls.host, before)
            await old.register()
            cluster.machine = machine
            cluster.hosts.former.append(cluster.nodes["h0"])
            cluster.nodes["h0"] = young = cluster._make("h0")
            await young.started()
            assert not is_running(before)
            assert child.wait(PATIENCE) == -signal.SIGKILL
        owner = await asyncpg.connect(urls.owner)
        asked = "SELECT expires_at <= clock_timestamp() FROM shard_hosts WHERE id = $1"
        assert await owner.fetchval(asked, before.id), "nobody need wait for its lease"
        await owner.close()
        await old.close()


async def test_a_name_is_not_taken_back(urls: Urls) -> None:
    """What an older incarnation repeats after a younger one came changes nothing."""
    old, young = (
        HostStore(urls.host, Incarnation(uuid7(), "h0", "here", next(DEAD_PIDS))) for _ in range(2)
    )
    await old.register()
    await young.register()
    await old.register()
    assert await old.renew(0) is None
    assert await young.renew(0) is not None
    await old.close()
    await young.close()


async def test_two_who_take_a_name_at_once_do_not_both_keep_it(urls: Urls) -> None:
    stores = [HostStore(urls.host, Incarnation(uuid7(), "h0", f"machine {n}", n)) for n in range(6)]
    await asyncio.gather(*(store.register() for store in stores))
    renewed = [await store.renew(0) for store in stores]
    assert sum(lease is not None for lease in renewed) == 1
    for store in stores:
        await store.close()


async def _lost(urls: Urls, node: Node) -> list[Incarnation]:
    async with asyncio.timeout(20):
        while not (found := await asyncio.to_thread(leases.orphans, urls.host, "one machine")):
            await asyncio.sleep(0.1)
    return found


async def test_a_stopped_host_is_told_of_to_whoever_can_end_it(urls: Urls) -> None:
    """Even if it was the only one, and nobody can take its shards."""
    async with running(urls, 1) as cluster:
        node = cluster.nodes["h0"]
        assert await asyncio.to_thread(leases.orphans, urls.host, "one machine") == []
        cluster.hosts.names = []  # nobody replaces it
        node.freeze()
        assert await _lost(urls, node) == [node.incarnation]
        assert await asyncio.to_thread(leases.orphans, urls.host, "another machine") == []
        await asyncio.to_thread(leases.mark_ended, urls.host, [node.incarnation.id])
        assert await asyncio.to_thread(leases.orphans, urls.host, "one machine") == []


async def test_a_superseded_host_without_shards_is_told_of_too(urls: Urls) -> None:
    old, young = (
        HostStore(urls.host, Incarnation(uuid7(), "h0", "here", pid, "b", pid)) for pid in (7, 8)
    )
    await old.register()
    await young.register()
    assert await asyncio.to_thread(leases.orphans, urls.host, "here") == []
    owner = await asyncpg.connect(urls.owner)
    await owner.execute("UPDATE shard_hosts SET expires_at = now()")
    await owner.close()
    assert await asyncio.to_thread(leases.orphans, urls.host, "here") == [old.host]
    await old.close()
    await young.close()


def test_a_pid_that_was_given_to_another_is_not_the_host() -> None:
    with _process() as child:
        birth = birth_of(child.pid)
        assert birth == birth_of(child.pid) != birth_of(os.getppid())
        host = Incarnation(uuid7(), "h0", "here", child.pid, "", birth)
        assert is_running(host)
        assert is_running(host._replace(birth=0)), "not known: it may be"
        assert not is_running(host._replace(birth=birth - 1))
        child.kill()
        while is_running(host):  # a zombie, until its parent asks for it
            time.sleep(0.01)
    assert not is_running(host)


async def test_whoever_may_not_be_ended_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of another user's, on the same database: a host begins all the same, and ends those
    that it may."""

    def kill(pid: int, sign: int) -> None:
        if pid == theirs.pid:
            raise PermissionError(pid)
        plain(pid, sign)

    plain = os.kill
    monkeypatch.setattr(os, "kill", kill)
    with _process() as theirs, _process() as ours:
        hosts = [
            Incarnation(uuid7(), "h0", "here", process.pid, "", birth_of(process.pid))
            for process in (theirs, ours)
        ]
        assert await end_processes(hosts) == hosts[1:]
        monkeypatch.undo()
        theirs.kill()
