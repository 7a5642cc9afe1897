"""Clients that do everything a shop does, at once, and write down what they were told."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from core.request import command_id
from tests.chaos.client import Answer, Client, Unknown
from tests.chaos.world import Business

PATIENCE_SECONDS = 300.0
SHORT_HOLDS_SECONDS, SHORT_TTL_SECONDS = 25.0, 1
REPEATED, ABANDONED, FORGOTTEN = 0.1, 0.05, 0.02
CLOSED = ("reservation_not_open", "reservation_expired")
SHORT = ("insufficient_stock",)
FAIR = {"reserve": SHORT, "adjust": SHORT, "add": (), "confirm": CLOSED, "release": CLOSED}
RESERVATION = "/api/inventory/reservations/{reservationId}"


@dataclass(repr=False)
class Command:
    """One request as its client knows it. `answer` stays None if nobody ever told."""

    business: Business
    kind: str
    template: str
    body: Any
    moves: dict[str, int]
    reservation: str = ""
    key: str = field(default_factory=lambda: str(uuid4()))
    answer: Answer | None = None
    attempts: int = 0

    def __repr__(self) -> str:
        told = f"{self.answer.status} {self.answer.body!r}" if self.answer else "nothing"
        return f"{self.path} {self.body}, key {self.key}, {self.attempts} attempts, told {told}"

    @property
    def path(self) -> str:
        return self.template.replace("{reservationId}", self.reservation)

    @property
    def id(self) -> UUID:
        """By which the ledger and the command log name it."""
        tenant, user = str(self.business.tenant), str(self.business.user)
        return command_id(tenant, user, "POST", self.template, self.key)


class Load:
    """Runs until `stop`. `log` holds every command, `wrong` what no client may ever see."""

    def __init__(self, port: int, businesses: list[Business], clients: int, seed: int) -> None:
        self.log: list[Command] = []
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self._port = port
        self._businesses = businesses
        self._clients = clients
        self._seed = seed
        # Late enough that some expire without an owner, early enough that all have at the end.
        self._short_holds_until = time.monotonic() + SHORT_HOLDS_SECONDS
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loops = [self._shop(number) for number in range(self._clients)]
        for business in self._businesses:
            loops += [self._count(business), self._watch(business)]
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def stop(self) -> None:
        """Lets everyone come to the end of what they do. Raises what a client died of."""
        self._stopping.set()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def all_served(self, since: float, timeout_seconds: float) -> float:
        """Waits until each business had a request done that was begun after `since` (on the
        monotonic clock); returns how long after it that was. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while min(business.last_done for business in self._businesses) < since:
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)
        return time.monotonic() - since

    @contextmanager
    def _client(self, business: Business) -> Iterator[Client]:
        client = Client(self._port, business.token)
        try:
            yield client
        finally:
            client.hang_up()

    async def _shop(self, number: int) -> None:
        rng = random.Random(f"{self._seed}:{number}")
        business = self._businesses[number % len(self._businesses)]
        with self._client(business) as client:
            while not self._stopping.is_set():
                may_expire = self._short_holds_until > time.monotonic()
                await self._buy(rng, client, _choose(rng, business, may_expire))

    async def _buy(self, rng: random.Random, client: Client, command: Command) -> None:
        self.log.append(command)
        roll = rng.random()
        if roll < ABANDONED:
            await client.abandon(command.path, command.key, command.body, rng.random() / 50)
            self.counts["abandoned"] += 1
            if roll < FORGOTTEN:
                return  # Nobody will ever know.
        command.answer = await self._insist(client, command)
        if command.answer is None:
            return
        self._note(command, command.answer)
        if command.answer.is_done and rng.random() < REPEATED:
            await self._repeat(client, command, command.answer)

    async def _insist(self, client: Client, command: Command) -> Answer | None:
        """Repeats a command until there is an answer."""
        began = time.monotonic()
        pause = 0.05
        while time.monotonic() - began < PATIENCE_SECONDS:
            command.attempts += 1
            started = time.monotonic()
            try:
                answer = await client.attempt("POST", command.path, command.key, command.body)
            except Unknown as unknown:
                self.counts[f"unknown: {str(unknown)[:40]}"] += 1
                self.counts["repeated"] += 1
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
                continue
            if answer.is_done:
                command.business.last_done = max(command.business.last_done, started)
            return answer
        self.wrong.append(f"no answer in {PATIENCE_SECONDS} s: {command}")
        return None

    def _note(self, command: Command, answer: Answer) -> None:
        business = command.business
        if answer.is_done:
            self.counts["done"] += 1
            if command.kind == "reserve":
                command.reservation = answer.data["id"]
                if command.body["ttlSeconds"] > SHORT_TTL_SECONDS:  # the others nobody touches
                    business.holds.append(command.reservation)
            return
        self.counts[f"refused: {answer.code}"] += 1
        if answer.code not in FAIR[command.kind] or command.moves.keys() & set(business.ample):
            self.wrong.append(f"refused without reason: {command} {answer}")

    async def _repeat(self, client: Client, command: Command, first: Answer) -> None:
        """The same key again, after an answer: the same answer again."""
        again = await self._insist(client, command)
        self.counts["sent twice"] += 1
        if again is not None and said(again) != said(first):
            self.wrong.append(f"another answer the second time: {command} {again}")

    async def _count(self, business: Business) -> None:
        """Adds one by one to the counted product."""
        body = {"productId": business.counted, "quantity": 1}
        moves = {business.counted: 1}
        with self._client(business) as client:
            while not self._stopping.is_set():
                command = Command(business, "add", "/api/inventory/add", body, moves)
                self.log.append(command)
                business.counted_started += 1
                command.answer = await self._insist(client, command)
                if command.answer is not None:
                    self._note(command, command.answer)
                    business.counted_done += 1
                await asyncio.sleep(0.05)

    async def _watch(self, business: Business) -> None:
        """Reads the counted product: never less than was acknowledged before the question, never
        more than was asked for by the time of the answer."""
        with self._client(business) as client:
            while not self._stopping.is_set():
                least = business.counted_done
                with suppress(Unknown):
                    level = await client.get(f"/api/inventory/{business.counted}")
                    found, most = level["onHand"], business.counted_started
                    self.counts["reads"] += 1
                    if not least <= found <= most:
                        self.wrong.append(f"stale read: {least} <= {found} <= {most}")
                await asyncio.sleep(0.05)


def said(answer: Answer) -> tuple[Any, ...]:
    """What a repeat has to repeat. To close what was closed already changes nothing and is not
    recorded: the level beside it is then that of the moment."""
    if not answer.is_done:
        return answer.status, answer.code
    receipt = answer.headers.get("x-holdfast-receipt", "")
    if "status" in answer.data and "," not in receipt:
        return answer.status, answer.data["id"], answer.data["status"]
    return answer.status, answer.body, receipt


def _choose(rng: random.Random, business: Business, may_expire: bool) -> Command:
    roll = rng.random()
    if business.holds and (roll < 0.45 or len(business.holds) > 200):
        kind = rng.choice(("confirm", "confirm", "release"))
        place = rng.randrange(len(business.holds))
        hold = business.holds[place]
        if rng.random() < 0.9:  # else somebody else may close it, too
            business.holds[place] = business.holds[-1]
            business.holds.pop()
        return Command(business, kind, f"{RESERVATION}/{kind}", None, {}, hold)
    if roll < 0.6:
        product = rng.choice(business.scarce)
        delta = rng.choice((1, 2, 3, -1))
        body = {"lines": [{"productId": product, "delta": delta}], "reason": "recount"}
        return Command(business, "adjust", "/api/inventory/adjustments", body, {product: delta})
    goods = [rng.choice(business.scarce)] if roll < 0.8 else rng.sample(business.ample, 2)
    moves = {product: rng.randint(1, 2) for product in goods}
    lines = [{"productId": product, "quantity": quantity} for product, quantity in moves.items()]
    ttl_seconds = SHORT_TTL_SECONDS if may_expire and rng.random() < 0.05 else 3_600
    wanted: dict[str, Any] = {"lines": lines, "ttlSeconds": ttl_seconds}
    return Command(business, "reserve", "/api/inventory/reserve", wanted, moves)
