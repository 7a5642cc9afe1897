"""What a replica needs to know for itself does not wait behind its requests."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import cast

import pytest

from actors.runtime.ports import Transport
from core.settings import Settings
from deployments.kit.capability import Capability
from deployments.kit.resources import Resources, make_resources
from store.kit.engine import POOL_SIZE, Scope


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
    monkeypatch.setattr("deployments.kit.resources.TASK_PAUSE_SECONDS", 0.0)
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


async def test_tasks_run_where_their_capability_is_served(embedded: Settings) -> None:
    async def task(_: Resources) -> None:
        raise AssertionError("it is served elsewhere")

    here, elsewhere = [Capability(name, f"/api/{name}", ()) for name in ("here", "elsewhere")]
    elsewhere = replace(elsewhere, tasks=(task,))
    both = (here, elsewhere)
    shared = make_resources(embedded, cast(Transport, None), "test", both, (here,))
    assert task not in shared.tasks
    assert task in make_resources(embedded, cast(Transport, None), "test", both, both).tasks
