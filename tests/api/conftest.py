"""Fixtures of the API suite: a running copy in each layout, and a business of its own per test; and
the application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from core.principal import Role
from core.settings import Settings
from deployments.capabilities import CAPABILITIES
from tests.api.harness import BASE, Served
from tests.api.in_process import InProcessStack, in_process
from tests.api.people import Session, session
from tests.api.shop import Shop, open_shop
from tests.stack import FIRST_PORT, Layout, Stack, running_stack

PORTS: dict[Layout, int] = {"single": FIRST_PORT, "split": FIRST_PORT + 60}
# Two of one application are told apart by nobody in the single layout; what the split one adds is
# that there are two applications.
REPLICAS: dict[Layout, int] = {"single": 2, "split": 1}
# What has an application of its own in the split layout; all else is served there as it is in
# the single one.
APART = "/api/inventory"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that are made for each route run in the split layout for its own routes alone. Those
    that need a copy are marked `stack`, and `split` too where it has that layout: lanes and
    `make quick` go by these marks. All of one layout come together, whichever folder they are
    of."""
    again = [item for item in items if _is_split(item) and _runs_in_vain(item)]
    if again:
        config.hook.pytest_deselected(items=again)
        gone = set(again)
        items[:] = [item for item in items if item not in gone]
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker("stack")
        if _is_split(item):
            item.add_marker("split")
    items.sort(key=_is_split)


def _parameters(item: pytest.Item) -> dict[str, Any]:
    return getattr(getattr(item, "callspec", None), "params", {})


def _is_split(item: pytest.Item) -> bool:
    return bool(_parameters(item).get("stack") == "split")


def _runs_in_vain(item: pytest.Item) -> bool:
    parameters = _parameters(item)
    route = parameters.get("route") or str(parameters.get("name", "")).split()
    return len(route) == 2 and not route[1].startswith(APART)


@pytest.fixture(scope="package", params=list(PORTS))
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A copy that runs, without rate limits. Each layout is started once, since all of one
    layout come together."""
    layout: Layout = request.param
    home = tmp_path_factory.mktemp(f"stack-{layout}")
    replicas = REPLICAS[layout]
    with running_stack(home, layout=layout, port=PORTS[layout], replicas=replicas) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(request: pytest.FixtureRequest, embedded: Settings) -> AsyncIterator[Served]:
    """An application in this process, without rate limits: the module's `ALL`, if it has one."""
    async with in_process(embedded, getattr(request.module, "ALL", BASE)) as running:
        yield running.served


@pytest_asyncio.fixture(loop_scope="module")
async def owner(served: Served) -> Session:
    """Of a new business."""
    return await session(served.http, role="vendor", businessName="Ada Teas")


@pytest.fixture(scope="package")
def untouched_hold(stack: Stack) -> tuple[str, dict[str, Any]]:
    """A token and a hold of 2 of 3 that expires after a second. Made before all else, so that
    its grace is over when the last test looks at it."""

    async def make() -> tuple[str, dict[str, Any]]:
        async with open_shop(stack) as opened:
            hold = await opened.reserve(await opened.product(3), 2, ttlSeconds=1)
            return stack.token(Role.OWNER, opened.tenant, opened.owner.id), hold

    return asyncio.run(make())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(request: pytest.FixtureRequest, embedded: Settings) -> AsyncIterator[InProcessStack]:
    """The module's `ALL`, or every capability, in this process, with shard hosts: started once for
    a module, whose tests each open a business of their own."""
    async with in_process(embedded, getattr(request.module, "ALL", CAPABILITIES)) as running:
        yield running


@pytest.fixture
async def shop(stack: Stack, untouched_hold: object) -> AsyncIterator[Shop]:
    """A new business and its owner."""
    async with open_shop(stack) as opened:
        yield opened
