"""The shop of the till's tests: one for each, in an application in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.api.in_process import InProcessStack
from tests.api.pos.card_kit import open_card_till
from tests.api.shop import Shop


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    """With a register and an open shift, and a card provider that keeps no test waiting."""
    async with open_card_till(here) as opened:
        yield opened
