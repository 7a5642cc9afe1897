"""On one machine commands go by streams, on sockets of this user alone."""

from __future__ import annotations

import re
import stat

from tests.api.shop import open_shop
from tests.stack import Stack
from tests.waiting import eventually

_SENT = re.compile(
    r'^holdfast_commands_sent_total\{[^}]*way="(\w+)"[^}]*\} ([\d.e+]+)$', re.MULTILINE
)


async def test_commands_go_by_streams(copies: tuple[Stack, Stack]) -> None:
    _, copy = copies
    async with open_shop(copy) as shop:
        product = await shop.product(50)
        for _ in range(30):
            await shop.reserve(product)

    async def seen() -> bool:
        async with copy.client() as http:
            text = (await http.get("/metrics")).text
        sent = {"stream": 0.0, "call": 0.0}
        for way, number in _SENT.findall(text):
            sent[way] += float(number)
        return sent["stream"] > 20 and sent["stream"] > sent["call"]

    await eventually(seen)
    sockets = list((copy.settings.run_dir / "hosts").iterdir())
    assert len(sockets) >= len(copy.hosts())
    assert {stat.S_IMODE(path.stat().st_mode) for path in sockets} == {0o600}
    assert stat.S_IMODE((copy.settings.run_dir / "hosts").stat().st_mode) == 0o700
