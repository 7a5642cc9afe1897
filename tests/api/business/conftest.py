"""The business of the tests of businesses."""

from __future__ import annotations

import pytest_asyncio

from tests.api.harness import Served
from tests.api.people import Session, session


@pytest_asyncio.fixture(loop_scope="module")
async def owner(served: Served) -> Session:
    return await session(served.http, role="vendor", businessName="Ada Teas", currency="GBP")
