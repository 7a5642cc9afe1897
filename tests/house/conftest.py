"""Two running copies that the tests of this folder share, because a start takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from core.settings import Ports
from tests.stack import FIRST_PORT, Stack, running_stack

PORT = FIRST_PORT + 400
HOSTS = ("127.0.0.1", "0.0.0.0")
RATE_LIMITS = ("on", "off")


@pytest.fixture(scope="package")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Stack]]:
    """Both started at once, as close together as their ports may be. The first one has rate
    limits and Ray's dashboard, the second one is open to the network."""
    homes = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:

        def start(number: int) -> Stack:
            copy = running_stack(
                homes[number],
                port=PORT + number * Ports.SPAN,
                rate_limit=RATE_LIMITS[number],
                environment={
                    "HOLDFAST_HOST": HOSTS[number],
                    "HOLDFAST_RAY_DASHBOARD": str(number == 0),
                },
            )
            return stack.enter_context(copy)

        one, two = pool.map(start, range(2))
        yield one, two
