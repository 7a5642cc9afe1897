"""Scratch: suspected bugs."""

import asyncio
import time

import asyncpg

from actors.stock import model as m
from core.errors import *
from tests.runtime.audit import audit
from tests.runtime.clients import Shop
from tests.runtime.kit import Cluster, running
from tests.runtime.proxy import proxied


async def test_slow_commit_keeps_lease(urls):
    async with running(urls, 2) as c:
        shop = Shop(c)
        (p,) = await shop.stock(100)
        before = dict(c.nodes)
        o = await asyncpg.connect(urls.owner)
        tr = o.transaction()
        await tr.start()
        await o.execute("lock table stock_levels in exclusive mode")
        t = time.time()
        r = asyncio.create_task(shop.insist(shop.reserve(p)))
        await asyncio.sleep(7)
        await tr.rollback()
        await o.close()
        print(await r, "took", time.time() - t)
        assert {n: x for n, x in c.nodes.items()} == before
        f = await audit(urls, shop.log)
        print(f)
        assert f.clean


async def test_slow_due_keeps_lease(urls, monkeypatch):
    from store.inventory import StockLoader

    due = StockLoader.due
    async with running(urls, 2) as c:
        shop = Shop(c)
        (p,) = await shop.stock(100)
        before = dict(c.nodes)

        async def slow(self, connection, *a):
            await connection.execute("select pg_sleep(7)")
            return await due(self, connection, *a)

        monkeypatch.setattr(StockLoader, "due", slow)
        c.nodes["h0"].host._agenda._horizons_ms.clear()
        await asyncio.sleep(8)
        assert {n: x for n, x in c.nodes.items()} == before


async def test_start_again_after_half_a_start(urls):
    c = Cluster(urls, 1)
    n = c._make("h0")
    real = n.store.expire
    fails = [1]

    async def flaky(ids):
        if fails:
            fails.pop()
            from store.journal import OutcomeUnknown

            raise OutcomeUnknown
        return await real(ids)

    n.store.expire = flaky
    async with asyncio.timeout(3):
        await n.started()
    n.kill()
    await n.gone()
    await c.stop()


async def test_start_over_survives_a_bug(urls, monkeypatch):
    async with running(urls, 1) as c:
        shop = Shop(c)
        (p,) = await shop.stock(100)
        h = c.nodes["h0"].host
        st = c.nodes["h0"].store
        real = st.recover
        fails = [1]

        async def buggy():
            if fails:
                fails.pop()
                raise ValueError("bug")
            return await real()

        monkeypatch.setattr(st, "recover", buggy)
        run = h._run

        async def boom(*a):
            raise ValueError("bug1")

        monkeypatch.setattr(h, "_run", boom)
        t = asyncio.create_task(shop.insist(shop.reserve(p), deadline_ms=8000, tries=1))
        await asyncio.sleep(0.3)
        monkeypatch.setattr(h, "_run", run)
        print(await t)


async def test_floor_ahead(urls):
    async with running(urls, 1) as c:
        shop = Shop(c)
        (p,) = await shop.stock(100)
        o = await asyncpg.connect(urls.owner)
        await o.execute("update shard_leases set decided_at_ms=$1", c.clock.now_ms() + 3600_000)
        await o.close()
        c.kill("h0")
        await c.settled()
        print(await shop.insist(shop.reserve(p), deadline_ms=5000, tries=1))


async def test_rotation_failure(urls):
    o = await asyncpg.connect(urls.owner)
    day = await o.fetchval("select (now() at time zone 'UTC')::date")
    for r in await o.fetch(
        "select relname from pg_inherits join pg_class on oid=inhrelid where inhparent='command_log'::regclass and relname ~ '_p[0-9]{8}$'"
    ):
        await o.execute(f"drop table {r[0]}")
    import uuid

    await o.execute(
        "insert into command_log(id,tenant_id,fingerprint,reply) values($1,$1,'x','y')",
        uuid.uuid4(),
    )
    await o.close()
    async with running(urls, 1) as c:
        pass


async def test_discontinue_unknown(urls):
    async with running(urls, 1) as c:
        shop = Shop(c)
        from core.ids import uuid7

        print(await shop.do(m.Discontinue(uuid7(), False)))


async def test_dead_silent_commit_connection(urls):
    async with proxied(urls.host) as px, running(urls, 1, host_url=px.url(urls.host)) as c:
        shop = Shop(c)
        (p,) = await shop.stock(100)
        n = c.nodes["h0"]
        t = time.time()
        px.silence()
        r = await shop.insist(shop.reserve(p))
        print("took", time.time() - t, n.left)
        f = await audit(urls, shop.log)
        print(f)
        assert f.clean
