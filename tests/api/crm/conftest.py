"""The shop of the tests of customers, in an application in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, open_shop


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_shop(here) as opened:
        yield opened
