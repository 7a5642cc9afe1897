"""A shop at the API: its owner, its service key, and the tills that sell with it.

Every step has a key made of the run and of what the step is, so it happens once however often it
is sent. A step ends with an answer that counts: while its outcome is unknown `cli.client` sends it
again with the same key, until the patience is at an end; then the run is over without a proof.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import httpx

from cli.client import ApiError, Client, Reply, open_http
from cli.demo.meter import Meter, Phase
from cli.demo.proof import Books

HANG_UP_AFTER_SECONDS = (0.001, 0.05)
# Longer than any outage that the run outlives, so that no hold expires meanwhile.
HOLD_SECONDS = 3600
_FIRST_ANSWER_SECONDS = 15.0
_OWNER_CONNECTIONS = 16
_TICK_SECONDS = 0.2


class Manner(Enum):
    """How a client sends a step: once, twice at the same time, or it hangs up and tries again."""

    PLAIN = auto()
    TWICE = auto()
    HANGS_UP = auto()


@dataclass(frozen=True, slots=True)
class Refused:
    """There was not enough. `available` is what there was, by product id, where it fell short."""

    available: dict[str, int]


class Till:
    """One client with a connection of its own, selling for the shop."""

    def __init__(self, shop: Shop, client: Client, seed: str) -> None:
        self.client = client
        self.random = random.Random(seed)  # noqa: S311
        self._shop = shop

    async def sell(
        self, units: Mapping[str, int], reference: str, meter: Meter, manner: Manner = Manner.PLAIN
    ) -> Refused | None:
        """Reserves all of `units`, by product id, and confirms. None if it was sold."""
        shop, key = self._shop, f"{self._shop.run}-{reference}"
        body = {
            "lines": [{"productId": one, "quantity": count} for one, count in units.items()],
            "reference": reference,
            "ttlSeconds": HOLD_SECONDS,
        }
        began = time.monotonic()
        path = "/api/inventory/reserve"
        reply = await self._send(path, body, f"{key}-reserve", meter, manner)
        if reply.status == 409 and reply.body["code"] == "insufficient_stock":
            meter.refused += 1
            short = reply.body["shortages"]
            return Refused({one["productId"]: one["available"] for one in short})
        held = checked(reply)
        meter.reserved(began)
        if {one["productId"]: one["quantity"] for one in held["lines"]} != units:
            shop.books.faults.append(f"{reference} asked for {units}, was given {held['lines']}")
        path = f"/api/inventory/reservations/{held['reservationId']}/confirm"
        checked(await self._send(path, None, f"{key}-confirm", meter, manner))
        shop.books.sold(held["reservationId"], units)
        meter.units += sum(units.values())
        return None

    async def _send(self, path: str, body: Any, key: str, meter: Meter, manner: Manner) -> Reply:
        def send() -> Coroutine[Any, Any, Reply]:
            return self.client.request("POST", path, body=body, key=key)

        if manner is Manner.TWICE:
            meter.sent_twice += 1
            first, second = await asyncio.gather(send(), send())
            if not _same(first, second):
                answers = f"{first.status} {first.body} and {second.status} {second.body}"
                self._shop.books.faults.append(f"{key}, sent twice, was answered {answers}")
            return first
        if manner is Manner.HANGS_UP:
            try:
                async with asyncio.timeout(self.random.uniform(*HANG_UP_AFTER_SECONDS)):
                    return await send()
            except TimeoutError:
                meter.hung_up += 1
        return await send()


@dataclass(slots=True)
class Answers:
    """How many there were of the kinds that make a client send again."""

    waited: int = 0
    errors: int = 0

    async def count(self, response: httpx.Response) -> None:
        """A hook on every answer."""
        self.waited += response.status_code == 429
        self.errors += response.status_code >= 500


@dataclass
class Shop:
    """A business of this run alone. `products` is product id by SKU."""

    url: str
    run: str
    email: str
    password: str
    owner: Client
    answers: Answers
    books: Books = field(default_factory=Books)
    products: dict[str, str] = field(default_factory=dict)
    tills: list[Till] = field(default_factory=list)
    _reported: Counter[str] = field(default_factory=Counter)

    async def give_back(self, units: Mapping[str, int], reference: str) -> None:
        """Goods come back, units by product id. The owner's to say: a till's key may not."""
        body = {
            "lines": [{"productId": one, "delta": count} for one, count in units.items()],
            "reason": "returned",
            "reference": reference,
        }
        key = f"{self.run}-{reference}-return"
        await self.owner.post("/api/inventory/adjustments", body, key=key)
        self.books.came_back(units)

    def note(self, meter: Meter) -> str:
        """The stage so far, for people."""
        return f"{meter.note}, {self._unreported(self._counted())[0]} repeated"

    def phase(self, meter: Meter) -> Phase:
        """The stage's figures; of what was sent again, what was not reported before."""
        now = self._counted()
        repeated, errors, waited = self._unreported(now)
        self._reported = now
        return meter.phase(repeated, errors, waited)

    def _counted(self) -> Counter[str]:
        clients = [self.owner, *(till.client for till in self.tills)]
        repeats = sum(client.repeats for client in clients)
        return Counter(repeats=repeats, waited=self.answers.waited, errors=self.answers.errors)

    def _unreported(self, counted: Counter[str]) -> tuple[int, int, int]:
        new = counted - self._reported
        # A rate limit asks for patience; it leaves no outcome unknown.
        repeated = max(0, new["repeats"] - new["waited"])
        return repeated, min(new["errors"], repeated), new["waited"]


@asynccontextmanager
async def open_shop(url: str, run: str, tills: int, patience_seconds: float) -> AsyncIterator[Shop]:
    """Registers a business in pounds and opens its tills. Raises ApiError or Unreachable."""
    async with AsyncExitStack() as stack:
        tls = ssl.create_default_context()
        answers = Answers()

        async def client(connections: int, token: str | None = None) -> Client:
            http = await stack.enter_async_context(open_http(connections, tls=tls))
            http.event_hooks = {"response": [answers.count]}
            return Client(url, token=token, http=http, patience_seconds=patience_seconds)

        await _look_for(url)
        owner = await client(_OWNER_CONNECTIONS)
        email, password = f"demo-{run}@holdfast.test", secrets.token_urlsafe(9)
        shop = Shop(url, run, email, password, owner, answers)
        await _register(shop)
        secret = await _service_key(shop)
        for number in range(tills):
            shop.tills.append(Till(shop, await client(2, secret), f"{run}-{number}"))
        yield shop


async def crowd(work: Iterable[Coroutine[Any, Any, None]], tick: Callable[[], None]) -> None:
    """Runs all at once, with a `tick` now and then and one at the end. The first failure ends
    the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(_every(_TICK_SECONDS, tick))
            await asyncio.wait([group.create_task(one) for one in work])
            ticking.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    tick()


async def _every(seconds: float, tick: Callable[[], None]) -> None:
    while True:
        tick()
        await asyncio.sleep(seconds)


def checked(reply: Reply) -> Any:
    """The data of a success. Raises ApiError."""
    if not reply.ok:
        raise ApiError(reply)
    return reply.body["data"]


def _same(first: Reply, second: Reply) -> bool:
    """Whether two answers to one key agree. A refusal's figures may be newer in the second."""
    if first.status != second.status:
        return False
    if not first.ok:
        return bool(first.body["code"] == second.body["code"])
    return bool(first.body == second.body)


async def _look_for(url: str) -> None:
    async with Client(url, patience_seconds=_FIRST_ANSWER_SECONDS) as nobody:
        await nobody.get("/ready")


async def _register(shop: Shop) -> None:
    body = {
        "name": "Demo",
        "email": shop.email,
        "password": shop.password,
        "role": "vendor",
        "businessName": f"Gift shop {shop.run}",
        "currency": "GBP",
    }
    reply = await shop.owner.request("POST", "/api/auth/register", body=body)
    # Registering has no memory of keys: when it was sent again, "taken" means that it was us.
    if not reply.ok and not (reply.status == 409 and shop.owner.repeats):
        raise ApiError(reply)
    await shop.owner.login(shop.email, shop.password)


async def _service_key(shop: Shop) -> str:
    """A key for the tills. Its secret is in one answer only, so if that was lost, another key."""
    body = {"name": "Tills", "scopes": ["inventory:write"]}
    for attempt in range(10):
        key = f"{shop.run}-tills-{attempt}"
        reply = await shop.owner.post("/api/auth/service-keys", body, key=key)
        if secret := reply["data"]["secret"]:
            return str(secret)
    raise RuntimeError("no answer with the service key's secret arrived")
