"""Whatever is sent, looking at it takes time in proportion to its length, and bounded memory."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import MutableMapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from core.errors import HoldfastError, TooManyRequests, Unavailable
from core.ids import uuid7
from core.principal import Role
from gateway import bodies, errors
from gateway.bodies import BoundedBody, Held
from gateway.middleware import MAX_BODY_BYTES
from tests.api.every_route.worst_kit import (
    BODIES,
    HEADS,
    Attack,
    Maker,
)
from tests.api.gateway.gateway_kit import (
    ALL as ALL,
)
from tests.api.gateway.gateway_kit import (
    BASKET,
    bearer,
)
from tests.api.harness import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What takes the square of its length grows sixteenfold over these, what is linear fourfold.
STEPS = (1, 4)
MAX_GROWTH = 8
LARGEST_BODY_BYTES = MAX_BODY_BYTES - 1_000
TIMED_BODY_BYTES = MAX_BODY_BYTES // 2
LARGEST_HEAD_BYTES = 64 << 10
RUNS = 2
# Below this, what is measured is the machine.
NOISE_SECONDS = 0.004
MAX_ANSWER_BYTES = 64 << 10
MAX_MEMORY_BYTES = 160 << 20


async def answered(served: Served, attack: Attack, *signed: tuple[bytes, bytes]) -> list[Any]:
    """The status of the answer and its body."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": attack.method,
        "scheme": "http",
        "path": attack.path,
        "raw_path": attack.path.encode(),
        "root_path": "",
        "query_string": attack.query,
        "headers": [*attack.headers, *signed],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
    }
    found: list[Any] = [0, b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": attack.body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        found[0] = message.get("status", found[0])
        found[1] += message.get("body", b"")

    await served.app(scope, receive, send)
    return found


async def spent_seconds(served: Served, attack: Attack, *signed: tuple[bytes, bytes]) -> float:
    """The processor's time, in the best of several runs."""
    best = float("inf")
    gc.disable()
    try:
        for _ in range(RUNS):
            began = time.thread_time()
            status, body = await answered(served, attack, *signed)
            best = min(best, time.thread_time() - began)
            assert status < 500
            assert len(body) < MAX_ANSWER_BYTES
    finally:
        gc.enable()
    return best


async def grows_with_its_length(
    served: Served, make: Maker, largest: int, *signed: tuple[bytes, bytes]
) -> None:
    sizes = [largest * step // STEPS[-1] for step in STEPS]
    small, large = [await spent_seconds(served, make(size), *signed) for size in sizes]
    assert large < MAX_GROWTH * max(small, NOISE_SECONDS)


@pytest.mark.parametrize("kind", BODIES)
async def test_a_body_takes_time_in_proportion(served: Served, kind: str) -> None:
    token = bearer(served, Role.MANAGER, uuid7())["Authorization"].encode()
    signed = (b"authorization", token)
    await grows_with_its_length(served, BODIES[kind], TIMED_BODY_BYTES, signed)


@pytest.mark.parametrize("kind", HEADS)
async def test_what_stands_before_a_body_takes_time_in_proportion(
    served: Served, kind: str
) -> None:
    await grows_with_its_length(served, HEADS[kind], LARGEST_HEAD_BYTES)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets the peak on request")
@pytest.mark.parametrize("kind", BODIES)
async def test_a_body_takes_bounded_memory(served: Served, kind: str) -> None:
    token = bearer(served, Role.MANAGER, uuid7())["Authorization"].encode()
    attack = BODIES[kind](LARGEST_BODY_BYTES)
    before = _peak_forgotten()
    await answered(served, attack, (b"authorization", token))
    assert _status_bytes("VmHWM") - before < MAX_MEMORY_BYTES


def _peak_forgotten() -> int:
    """Bytes in memory now, from which the next peak is counted."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


@pytest.mark.parametrize("kind", BODIES)
async def test_who_has_proved_nothing_sends_little(served: Served, kind: str) -> None:
    attack = BODIES[kind](LARGEST_BODY_BYTES)._replace(path="/api/trial/basket")
    assert (await answered(served, attack))[0] == 413


async def test_an_error_names_its_place_and_no_more(served: Served) -> None:
    token = bearer(served, Role.MANAGER, uuid7())["Authorization"].encode()
    attack = BODIES["a long name above bad leaves"](LARGEST_BODY_BYTES)
    status, body = await answered(served, attack, (b"authorization", token))
    told = json.loads(body)["errors"]
    assert (status, len(told)) == (400, errors.MAX_FIELD_ERRORS)
    assert told[7]["field"] == "n" * (errors.MAX_SHOWN_NAME - 1) + "…[7]"


async def test_bodies_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller with much on its way waits; small bodies go through all the same."""
    monkeypatch.setattr(bodies, "MAX_HELD_BYTES", 3 << 20)
    held, refusal = Held(), HoldfastError()

    def sending(size: int, caller: str) -> BoundedBody:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"x" * size, "more_body": False}

        return BoundedBody(receive, {}, 1 << 20, refusal, held, caller)

    monkeypatch.setattr(bodies, "MAX_HELD_BY_ONE_BYTES", 2 << 20)
    with sending(1 << 20, "one") as one, sending(1 << 20, "one") as two:
        await asyncio.gather(one.receive(), two.receive())
        with sending(1 << 20, "one") as mine, pytest.raises(TooManyRequests):
            await mine.receive()
        with sending(1 << 20, "another") as other:
            await other.receive()
            with sending(1 << 20, "a third") as beyond, pytest.raises(Unavailable):
                await beyond.receive()
            for caller in ("one", "a third"):
                with sending(bodies.SMALL_BODY_BYTES, caller) as small:
                    await small.receive()
    assert (held.bytes, held.bytes_of) == (0, {})


async def test_who_stalls_takes_a_few_places_alone() -> None:
    held, refusal = Held(), HoldfastError()

    def stalled(caller: str) -> BoundedBody:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"x", "more_body": True}

        return BoundedBody(receive, {}, 1 << 20, refusal, held, caller)

    with ExitStack() as stack:
        for _ in range(bodies.MAX_ARRIVING):
            await stack.enter_context(stalled("one")).receive()
        with stalled("one") as beyond, pytest.raises(TooManyRequests):
            await beyond.receive()
        with stalled("another") as other:
            await other.receive()
            await other.receive()
        for number in range(bodies.MAX_ARRIVING_TOGETHER - bodies.MAX_ARRIVING):
            await stack.enter_context(stalled(f"{number}")).receive()
        with stalled("nobody yet") as beyond, pytest.raises(Unavailable):
            await beyond.receive()
    assert (held.bytes, held.arriving) == (0, {})


async def test_an_ordinary_basket_is_served(served: Served) -> None:
    body = json.dumps(BASKET).encode()
    headers = ((b"content-type", b"application/json"), (b"cookie", b"a=1"))
    status, _ = await answered(served, Attack("POST", "/api/trial/basket", b"", headers, body))
    assert status == 200
