"""The keeper beside trouble: hosts that do not answer, a Ray that does not, another keeper, a
clock that leaps, a deploy, an operator."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import asyncpg
import msgspec
import pytest

from actors.families import FAMILIES
from actors.runtime import keeper
from actors.runtime.keeper import Keeper
from actors.runtime.wire import Outcome
from actors.stock import model as m
from core.errors import Unavailable
from deployments.kit.resources import _keeper_is_at_work, _shards_have_owners
from deployments.meta import Degraded
from store.hosts import leases, wishes
from store.hosts.connections import OutcomeUnknown
from store.hosts.keeping import KeeperStore
from store.kit.engine import Database, Scope
from tests.runtime.audit import audit
from tests.runtime.clients import Shop, hold_of
from tests.runtime.conftest import LONG
from tests.runtime.kit import SHARDS, Cluster, Urls, running
from tests.runtime.node import Node, SteerableClock
from tests.runtime.traffic import Traffic
from tests.waiting import until

LOAD_SECONDS = 60 if LONG else 5


async def _silence_seconds(db: Database) -> float:
    async with db.transaction(Scope()) as tx:
        return await leases.keeper_silence_seconds(tx)


def _shares(cluster: Cluster) -> dict[str, int]:
    return {name: len(node.host.epochs) for name, node in cluster.nodes.items() if node.alive}


async def _until_shares_are(cluster: Cluster, expected: dict[str, int]) -> None:
    async with asyncio.timeout(30):
        while _shares(cluster) != expected:
            await asyncio.sleep(0.05)


# --- what must not stop it ---------------------------------------------------------------------


async def test_hosts_and_a_ray_that_do_not_answer_delay_no_takeover(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host does not hand over, and Ray's GCS is dead: to ask for hosts never ends. The beat goes
    on, and the shards of a host that died are taken by those that live."""
    async with running(urls, 2) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)

        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        for name in ("ensure", "hand_over", "sync"):
            monkeypatch.setattr(cluster.hosts, name, never)
        # So that there is something to ask for: a host to make, and shards to move.
        cluster.hosts.names = ["h0", "h1", "h2"]
        async with wishes.operator(urls.host) as operator:
            await wishes.drain(operator, "h1")
        await asyncio.sleep(1.2)
        cluster.kill("h0")
        await _until_shares_are(cluster, {"h1": SHARDS})
        assert isinstance(await shop.send(shop.reserve(product)), m.Hold)
        assert await _silence_seconds(cluster.db) < 3


async def test_a_leap_of_the_databases_clock_costs_nobody_the_lease(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the database every lease has ended an hour ago, and nobody is to blame."""
    async with running(urls, 2) as cluster:
        nodes, owner = dict(cluster.nodes), await asyncpg.connect(urls.owner)
        beat, leaps = KeeperStore.beat, iter([3_600_000])

        async def leaping(self: KeeperStore, *arguments: Any, **named: Any) -> int | None:
            now_ms = await beat(self, *arguments, **named)
            ahead_ms = next(leaps, None)
            if ahead_ms is None:
                return now_ms
            await owner.execute("UPDATE shard_hosts SET expires_at = clock_timestamp()")
            return None if now_ms is None else now_ms + ahead_ms

        monkeypatch.setattr(KeeperStore, "beat", leaping)
        await asyncio.sleep(2.5)
        await owner.close()
        assert cluster.nodes == nodes, "nobody lost a lease"


async def test_the_youngest_keeper_keeps_and_the_other_steps_in(urls: Urls) -> None:
    """While a deploy replaces the keeper there are two, and they want different hosts."""
    async with running(urls, 1) as cluster:
        store = KeeperStore(urls.host)
        old, new = (Keeper(store, cluster.hosts, FAMILIES, cluster.clock) for _ in range(2))
        assert cluster.keeping is not None
        cluster.keeping.cancel()
        assert await store.beat(old._id, first=True)
        assert await store.beat(new._id, first=True)
        assert await store.beat(old._id, first=False) is None
        assert await store.beat(new._id, first=False)
        owner = await asyncpg.connect(urls.owner)
        await owner.execute("UPDATE keeper_beat SET seen_at = now() - interval '6 s'")
        await owner.close()
        assert await store.beat(old._id, first=False), "the young one is silent"
        assert await store.beat(new._id, first=False) is None
        await store.close()


# --- degraded is not dead ----------------------------------------------------------------------


async def test_readiness_tells_some_shards_from_all(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        await _shards_have_owners(cluster.db)
        await _keeper_is_at_work(cluster.db)
        assert cluster.keeping is not None
        cluster.keeping.cancel()
        owner = await asyncpg.connect(urls.owner)
        await owner.execute("UPDATE shard_leases SET host_id = NULL WHERE shard = 3")
        with pytest.raises(Degraded, match=f"1 of {SHARDS} "):
            await _shards_have_owners(cluster.db)
        await owner.execute("UPDATE shard_leases SET host_id = NULL")
        with pytest.raises(Unavailable):
            await _shards_have_owners(cluster.db)
        await owner.execute("DELETE FROM shard_leases")
        with pytest.raises(Unavailable):
            await _shards_have_owners(cluster.db)
        await owner.close()


# --- a deploy ----------------------------------------------------------------------------------


async def test_a_deploy_moves_shards_to_hosts_of_the_new_build(urls: Urls, rng: Any) -> None:
    """Under load: every command is answered at the first asking, and nothing is lost."""
    async with running(urls, 2) as cluster:
        shops = [Shop(cluster) for _ in range(4)]
        traffics = [Traffic(shop, await shop.stock(1_000, 2), rng) for shop in shops]
        load = asyncio.gather(*(traffic.run(4, LOAD_SECONDS) for traffic in traffics))
        await asyncio.sleep(1)
        old = dict(cluster.nodes)
        cluster.hosts.names = ["new0", "new1"]  # as the keeper of the new build wants it
        await _until_shares_are(cluster, {"new0": SHARDS // 2, "new1": SHARDS // 2})
        assert not any(node.alive for node in old.values()), "they were dismissed"
        assert not any(node.left for node in old.values()), "none of them was fenced"
        await load
        for shop in shops:
            assert not any(request.errors for request in shop.log)
            found = await audit(urls, shop.log)
            assert found.clean, found


async def test_a_command_that_an_old_host_does_not_know_waits_for_a_new_one(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        old: Node = cluster.nodes["h0"]
        family = old.host._families["commerce"]

        class OldRules:
            def __getattr__(self, name: str) -> Any:
                return getattr(family.rules, name)

            def decode(self, body: bytes) -> Any:
                raise msgspec.ValidationError("Invalid value 'Reserve'")

        old.host._families = {"commerce": replace(family, rules=OldRules())}
        reserve = hold_of(product)
        (answer,) = await old.host.submit([shop.envelope(reserve)])
        assert answer.outcome is Outcome.ASK_AGAIN
        sale = asyncio.create_task(shop.send(shop.reserve(product)))
        await asyncio.sleep(0.3)
        cluster.hosts.names = ["new0"]
        assert isinstance(await sale, m.Hold)


async def test_a_host_of_another_build_that_nobody_woke_is_dismissed(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keeper was gone before it registered; a deployment waits for its end."""
    monkeypatch.setattr(keeper, "LOOK_FOR_OTHERS_SECONDS", 0.1)
    monkeypatch.setattr(keeper, "OTHERS_WAIT_SECONDS", 0.5)
    async with running(urls, 1) as cluster:
        shop, (host,) = Shop(cluster), cluster.nodes.values()
        (product,) = await shop.stock(10)
        other = cluster.nodes["old0"] = cluster._make("old0")
        await until(lambda: not other.alive)
        assert cluster.nodes == {"h0": host}
        assert isinstance(await shop.send(shop.reserve(product)), m.Hold)


async def test_who_may_yet_register_or_has_a_lease_is_not_dismissed(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        one, clock = cluster._make("old0"), SteerableClock()
        cluster.nodes["old0"] = one
        looking = Keeper(cluster.keeper_store, cluster.hosts, FAMILIES, clock)
        for live in (set[str](), {"old0"}, set[str]()):
            await looking._dismiss_idle(live)
            clock.boot_ahead_seconds += keeper.OTHERS_WAIT_SECONDS - 1
        assert one.alive, "it had a lease in between"
        clock.boot_ahead_seconds += 2
        await looking._dismiss_idle(set())
        assert not one.alive


@pytest.mark.parametrize("trouble", [None, OutcomeUnknown])
async def test_what_was_idle_before_a_keeper_looked_away_is_not_dismissed(
    urls: Urls, trouble: type[Exception] | None
) -> None:
    """While a younger one kept, or the database was gone, it may have had a lease."""
    async with running(urls, 1) as cluster:
        one, clock = cluster._make("old0"), SteerableClock()
        cluster.nodes["old0"] = one
        looking = Keeper(cluster.keeper_store, cluster.hosts, FAMILIES, clock)
        await looking._dismiss_idle(set())
        away: Any = SimpleNamespace(beat=AsyncMock(return_value=None, side_effect=trouble))
        looking._store = away
        await looking._tick_despite_errors()
        clock.boot_ahead_seconds += keeper.OTHERS_WAIT_SECONDS + 1
        await looking._dismiss_idle(set())
        assert one.alive


# --- an operator -------------------------------------------------------------------------------


async def _shards(urls: Urls, *arguments: str) -> tuple[int, str]:
    """`holdfast shards ...`: the exit status, and what it said."""
    run = partial(
        subprocess.run,
        [sys.executable, "-m", "cli.main", "shards", *arguments],
        env={**os.environ, "DATABASE_URL": urls.owner},
        capture_output=True,
        text=True,
        timeout=120,
    )
    ended = await asyncio.to_thread(run)
    return ended.returncode, ended.stdout + ended.stderr


async def test_an_operator_lists_moves_and_drains(urls: Urls) -> None:
    async with running(urls, 2) as cluster:
        await _until_shares_are(cluster, {"h0": SHARDS // 2, "h1": SHARDS // 2})
        code, told = await _shards(urls, "list", "--json")
        assert code == 0
        listed = json.loads(told)
        assert [row["shard"] for row in listed["shards"]] == list(range(SHARDS))
        assert {row["name"]: row["shards"] for row in listed["hosts"]} == _shares(cluster)
        moving = next(row for row in listed["shards"] if row["host"] == "h0")
        assert moving["is_valid"]
        assert (moving["machine"], moving["epoch"]) == ("one machine", 1)

        name = f"commerce/{moving['shard']}"
        code, told = await _shards(urls, "move", name, "h1", "--json")
        assert (code, json.loads(told)["done"]) == (0, True)
        await _until_shares_are(cluster, {"h0": SHARDS // 2, "h1": SHARDS // 2})
        code, told = await _shards(urls, "list")
        assert code == 0
        (line,) = [line for line in told.splitlines() if line.startswith(f"{name} ")]
        assert "h1" in line
        assert "pinned to h1" in line

        assert (await _shards(urls, "drain", "h1"))[0] == 0
        await _until_shares_are(cluster, {"h0": SHARDS, "h1": 0})
        code, told = await _shards(urls, "drain", "h0")
        assert (code, "nobody but h0" in told) == (1, True)
        assert (await _shards(urls, "drain", "h1", "--undo"))[0] == 0
        await _until_shares_are(cluster, {"h0": SHARDS // 2, "h1": SHARDS // 2})
        assert (await _shards(urls, "move", name, "anywhere"))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("move", "commerce/999", "h0"), "no shard"),
        (("move", "17", "h0"), "commerce/17"),
        (("move", "commerce/1", "nowhere"), "no host nowhere; there are h0"),
        (("drain", "nowhere"), "no host nowhere"),
    ],
)
async def test_an_operator_is_told_what_cannot_be(
    urls: Urls, arguments: tuple[str, ...], why: str
) -> None:
    async with running(urls, 1):
        code, told = await _shards(urls, *arguments)
        assert code == 1
        assert why in told
