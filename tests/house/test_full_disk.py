"""A disk without room: refused at once, not ready, and back by itself when there is some."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from gateway.errors import PROBLEM_JSON
from tests.api.shop import Shop, done, open_shop
from tests.house.conftest import PORT
from tests.runtime.conftest import LONG
from tests.stack import Stack, running_stack

SIZE_MB = 800
# Two seconds are promised, and fifteen to be back, to a machine that has some to spare.
MAX_REFUSAL_SECONDS = 10.0
MAX_RECOVERY_SECONDS = 90.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own. NOT RUN where one may not be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NOT RUN: no file system can be mounted here ({error})")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.skipif(not LONG, reason="HOLDFAST_CHAOS=long fills a disk")
async def test_a_full_disk_is_a_pause(small_disk: Path) -> None:
    with running_stack(small_disk / "home", port=PORT + 200) as copy:
        async with open_shop(copy) as shop:
            product = await shop.product(5)
            ballast = small_disk / "ballast"
            _fill(ballast)
            await _until(copy, 503)
            refused = await _reserve(shop, product)
            assert refused.status_code == 503
            assert refused.headers["content-type"] == PROBLEM_JSON
            assert refused.headers["retry-after"]
            # Nothing at all can be written now, by anybody: not even a line about it.
            copy.postgres()[0].kill()
            await asyncio.sleep(10)
            assert copy.supervisor.is_running()
            began = time.monotonic()
            ballast.unlink()
            await _until(copy, 200)
            while (answer := await _reserve(shop, product)).status_code == 503:
                assert time.monotonic() - began < MAX_RECOVERY_SECONDS
                await asyncio.sleep(0.2)
            done(answer)
            print(f"\nfull disk: served {time.monotonic() - began:.1f} s after it was freed")
            assert await shop.level(product) == (4, 5, 1)


def _fill(path: Path) -> None:
    """With a file of whatever size there is room for."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(os.urandom(65_536))
        except OSError:
            return


async def _reserve(shop: Shop, product: str) -> httpx2.Response:
    async with asyncio.timeout(MAX_REFUSAL_SECONDS):
        line = {"productId": product, "quantity": 1}
        return await shop.owner.post("/api/inventory/reserve", line, key="full")


async def _until(copy: Stack, status: int) -> None:
    async with copy.client() as http, asyncio.timeout(MAX_RECOVERY_SECONDS):
        while (await http.get("/ready")).status_code != status:
            await asyncio.sleep(0.1)
