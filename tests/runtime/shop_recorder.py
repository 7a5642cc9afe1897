"""Clients of one shop on the real runtime, and the history of what they saw."""

from __future__ import annotations

import asyncio
import random
import time
from math import inf

from actors.families import COMMERCE, decode_reply, encode_command
from actors.messages import Command
from core.errors import CommandFailed, Conflict, Unavailable
from core.ids import uuid7
from tests.runtime.clients import Request, Shop
from tests.runtime.linear import Operation
from tests.runtime.shop_wishes import READS, Asked, Wishes

DEADLINE_MS = 700


class ShopRecorder:
    """See `linear_shop` for what they do. `denied` counts sound commands that the database
    refused."""

    def __init__(self, shop: Shop, rng: random.Random) -> None:
        self.shop = shop
        self.rng = rng
        self.wishes = Wishes(rng, shop.tenant_id, uuid7)
        self.history: list[Operation] = []
        self.denied = 0
        self.ending = False

    async def open(self) -> None:
        """Before anybody disturbs."""
        self.wishes.elsewhere = await self.shop.location()
        for command in self.wishes.opening():
            await self.shop.do(command)

    async def client(self, until: float) -> None:
        while not self.ending and time.monotonic() < until and len(self.history) < 200:
            await asyncio.sleep(self.rng.random() * 0.02)
            await asyncio.gather(*(self._did(*wish) for wish in self.wishes.some()))

    async def _did(self, asked: Asked, command: Command) -> None:
        began = time.monotonic()
        is_read = isinstance(command, READS)
        try:
            if is_read:
                body = encode_command(command)
                read = await self.shop.cluster.bus.read(COMMERCE, self.shop.tenant_id, "shop", body)
                reply = decode_reply(read.reply)
            else:
                reply = await self.shop.send(Request(command), deadline_ms=DEADLINE_MS)
        except (CommandFailed, Conflict, Unavailable) as error:
            self.denied += not isinstance(error, Unavailable)
            if not is_read:
                self.history.append(Operation(began, inf, asked))
            return
        told = self.wishes.told(reply)
        self.history.append(Operation(began, time.monotonic(), asked, told))
