"""A replica works for the consumers that the capabilities declare which it serves."""

from __future__ import annotations

import asyncio

import pytest

from core.ids import uuid7
from core.settings import get_settings
from deployments.kit.capability import Capability
from deployments.kit.resources import make_resources
from tests.runtime.faults import Faults
from tests.runtime.kit import LocalTransport
from tests.store.consumer_kit import Ground, noting


def test_two_consumers_of_one_name_are_refused_at_start() -> None:
    """They would share a position, and each miss what the other reads."""
    one, other = (
        Capability(name, f"/api/{name}", (), consumers=(noting("mails"),)) for name in "ab"
    )
    nobody = LocalTransport({}, Faults())
    with pytest.raises(ValueError, match="two consumers are called mails"):
        make_resources(get_settings(), nobody, "test", (one, other), (one,))


async def test_a_replica_works_for_the_consumers_of_what_it_serves(at: Ground) -> None:
    """And for no others."""
    served, apart = (
        Capability("served", "/api/served", (), consumers=(noting("served"),)),
        Capability("apart", "/api/apart", (), consumers=(noting("apart"),)),
    )
    changes = {"database_url": at.urls.owner, "redis_url": "redis://127.0.0.1:1"}
    settings = get_settings().model_copy(update=changes)
    shared = make_resources(
        settings, LocalTransport({}, Faults()), "test", (served, apart), (served,)
    )
    consume = shared.tasks[2]
    working = asyncio.create_task(consume(shared))
    try:
        await at.emit(uuid7(), uuid7(), "a")
        await at.wait_for(["a"], "served")
        assert await at.owner.fetchval("SELECT array_agg(name) FROM consumers") == ["served"]
    finally:
        working.cancel()
        await shared.db.close()
        await shared.watch.close()
        await shared.redis.close()
