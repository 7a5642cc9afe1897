"""What a replica needs to know for itself does not wait behind its requests."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import cast

import pytest

from actors.runtime.ports import Transport
from core.settings import Settings
from deployments.kit.capability import Capability
from deployments.kit.resources import Resources, make_resources
from gateway.rate_limit import RateLimiter
from gateway.revocations import RevocationWatcher
from store.kit.engine import POOL_SIZE, Scope
from store.kit.metrics import MetricsPublisher


async def test_the_directory_is_read_while_every_request_waits_for_the_database(
    embedded: Settings,
) -> None:
    shared = make_resources(embedded, cast(Transport, None), "test", (), ())
    try:
        async with AsyncExitStack() as requests:
            for _ in range(POOL_SIZE):
                await requests.enter_async_context(shared.db.transaction(Scope()))
            async with asyncio.timeout(4):  # less than a request waits for its turn
                assert await shared.bus._directory.shards()
                await shared.checks["postgres"]()
    finally:
        await shared.redis.close()
        await shared.db.close()
        await shared.watch.close()
        shared.edge.passwords.close()


async def test_a_task_that_fails_is_begun_anew(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.background.PAUSE_SECONDS", 0.0)
    tries, done = 0, asyncio.Event()

    async def task(_: Resources) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("once more")
        done.set()

    capability = Capability("tries", "/api/tries", (), tasks=(task,))
    shared = make_resources(embedded, cast(Transport, None), "test", (capability,), (capability,))
    await shared.start()
    try:
        await asyncio.wait_for(done.wait(), 10)
    finally:
        await shared.stop()


@pytest.mark.parametrize("failure", [ValueError("odd"), asyncio.CancelledError()], ids=repr)
async def test_no_failure_ends_what_the_gateway_does_beside_requests(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    """What others revoked is heard of, limits are shared and figures published for as long as
    there are requests."""
    monkeypatch.setattr("core.background.PAUSE_SECONDS", 0.0)
    rounds = {"publish": 0, "reconcile": 0, "poll": 0}
    gone_on = asyncio.Event()

    async def once(name: str) -> None:
        rounds[name] += 1
        if all(count > 1 for count in rounds.values()):
            gone_on.set()
        if rounds[name] == 1:
            raise failure

    for kind, name in [
        (MetricsPublisher, "publish"),
        (RateLimiter, "reconcile"),
        (RevocationWatcher, "poll"),
    ]:
        monkeypatch.setattr(kind, name, partial(once, name))
    monkeypatch.setattr("gateway.edge.FIRST_POLL_SECONDS", 0.0)
    shared = make_resources(embedded, cast(Transport, None), "test", (), ())
    await shared.start()
    try:
        await asyncio.wait_for(gone_on.wait(), 10)
    finally:
        await shared.stop()


async def test_tasks_run_where_their_capability_is_served(embedded: Settings) -> None:
    async def task(_: Resources) -> None:
        raise AssertionError("it is served elsewhere")

    here, elsewhere = [Capability(name, f"/api/{name}", ()) for name in ("here", "elsewhere")]
    elsewhere = replace(elsewhere, tasks=(task,))
    both = (here, elsewhere)
    shared = make_resources(embedded, cast(Transport, None), "test", both, (here,))
    assert task not in shared.tasks
    assert task in make_resources(embedded, cast(Transport, None), "test", both, both).tasks
