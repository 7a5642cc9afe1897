"""Two running copies that the tests of this folder share, because a start takes seconds; and a home
where nothing runs."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.settings import Ports, Settings
from tests.conftest import fresh_settings
from tests.house.haproxy import BEHIND, Echo, Server, written_by_serve
from tests.stack import FIRST_PORT, Stack, running_stack

PORT = FIRST_PORT + 400
HOSTS = ("127.0.0.1", "0.0.0.0")
RATE_LIMITS = ("on", "off")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs no copy comes first: two that wait for their tests take a fifth of a core."""
    items.sort(key=_needs_copies)


def _needs_copies(item: pytest.Item) -> bool:
    return "copies" in getattr(item, "fixturenames", ())


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


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a copy of the test's own, at its module's `PORT`."""
    settings = fresh_settings(tmp_path / "home", port=request.module.PORT)
    yield settings
    shutil.rmtree(settings.run_dir, ignore_errors=True)


@pytest.fixture(scope="package")
def template(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What Serve writes for HAProxy."""
    return written_by_serve(tmp_path_factory.mktemp("serve"))


@pytest.fixture
def opened() -> list[object]:
    """Where connections to what is behind came from."""
    return []


@pytest.fixture
def asked() -> list[str]:
    """The paths to which something was sent that reached what is behind."""
    return []


@pytest.fixture
def behind(opened: list[object], asked: list[str]) -> Iterator[None]:
    server = Server(("127.0.0.1", BEHIND), Echo)
    server.opened, server.asked = opened, asked
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()
