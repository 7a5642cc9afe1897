"""Both hosts in an endless loop: nobody has to do anything about it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from store.embedded.leftovers import is_alive
from tests.api.shop import done, open_shop
from tests.house.conftest import PORT
from tests.house.test_still import PATIENCE_SECONDS
from tests.runtime.conftest import LONG
from tests.stack import running_stack

MUTANT = Path(__file__).parent / "mutants" / "looping"


@pytest.mark.skipif(not LONG, reason="HOLDFAST_CHAOS=long hangs hosts")
async def test_both_hosts_loop_for_ever(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(MUTANT)}
    with running_stack(tmp_path / "home", port=PORT + 300, environment=environment) as copy:
        async with open_shop(copy) as shop:
            product = await shop.product(5)
            await shop.reserve(product)
            hosts = copy.hosts()
            (copy.settings.home_path / "hang").touch()
            began = time.monotonic()
            line = {"productId": product, "quantity": 1}
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.sleep(0.5)
                while (
                    answer := await shop.owner.post("/api/inventory/reserve", line, key="hung")
                ).status_code == 503:
                    await asyncio.sleep(0.2)
            done(answer)
            print(f"\nboth hosts in a loop: sold again after {time.monotonic() - began:.1f} s")
            assert not any(is_alive(host) for host in hosts)
            assert await shop.level(product) == (3, 5, 2)
