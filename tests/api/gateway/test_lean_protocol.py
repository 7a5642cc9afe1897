"""A client cannot tell the lean way from the usual one: not by an answer, not by its headers, not
by what becomes of the connection; and nothing is lost on it."""

from __future__ import annotations

import asyncio
import gc
import random
import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from core.errors import Unavailable
from core.principal import Role
from core.settings import Settings
from core.time_limit import TimeLimit
from gateway import lean_protocol
from gateway.rate_limit import Limits, RateLimiter
from tests.api.gateway.lean_kit import (
    Reply,
    Servers,
    connection,
    lean_server,
    one_reply,
    reply_from,
    reservation,
    servers,
)
from tests.api.gateway.lean_requests import PATH, SMUGGLED, generated

pytestmark = pytest.mark.asyncio(loop_scope="module")
_VARIES = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z|epoch=\d+"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(embedded: Settings) -> AsyncIterator[Servers]:
    async with servers(embedded) as started:
        yield started


def comparable(reply: Reply) -> tuple[Any, ...]:
    headers = {
        name: _VARIES.sub("*", value) for name, value in reply.headers.items() if name != "date"
    }
    body = _VARIES.sub("*", reply.body)
    # A time on the second is shorter than others.
    headers["content-length"] = str(int(headers["content-length"]) - len(reply.body) + len(body))
    return reply.status, body, headers, reply.closed


async def told_apart(made: Servers, template: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """What both servers say of the same request, each about a product of its own."""
    replies = []
    for server in made.both:
        product = await made.shop.goods(2.5, 5)
        # A key belongs to its caller.
        named = re.search("Bearer %(.*)", template)
        mine = template.replace(named[0], await _bearer(made, named[1])) if named else template
        body = template.partition("\r\n\r\n")[2].replace("%p", product)
        raw = mine.replace("%p", product).replace("%n", str(len(body)))
        replies.append(await one_reply(server, raw.encode("latin-1")))
    return comparable(replies[0]), comparable(replies[1])


async def _bearer(made: Servers, role: str) -> str:
    return (await made.shop.caller(Role(role.rstrip("\r")))).auth["Authorization"] + "\r"


async def test_nobody_can_tell_by_which_way_a_request_was_answered(made: Servers) -> None:
    chance = random.Random(1128)
    before, statuses = made.taken.count, set()
    for _ in range(100):
        template = generated(chance)
        lean, usual = await told_apart(made, template)
        assert lean == usual, template
        statuses.add(lean[0])
    assert 25 < made.taken.count - before < 85  # the lean way has taken some, and left some
    assert statuses >= {200, 400, 401, 404, 405, 409, 415}


@pytest.mark.parametrize("rest", SMUGGLED)
async def test_no_two_readings_of_one_request(made: Servers, rest: str) -> None:
    auth = made.shop.owner.auth["Authorization"]
    replies = []
    for server in made.both:
        body = reservation(await made.shop.goods(2.5, 5)).decode()
        raw = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: {auth}\r\n"
        raw += "Content-Type: application/json\r\nConnection: close\r\n" + rest
        raw = raw.replace("%n", str(len(body))).replace("%x", f"{len(body):x}")
        async with connection(server) as (reader, writer):
            writer.write(raw.replace("%b", body).encode("latin-1"))
            writer.write_eof()
            answered = await reader.read()
        # One answer at most, whatever stood behind it.
        assert answered.count(b"HTTP/1.1 ") <= 1
        replies.append(_VARIES.sub("*", re.sub("date: .*?\r\n", "", answered.decode("latin-1"))))
    assert sorted(replies[0].split("\r\n")) == sorted(replies[1].split("\r\n"))


async def test_requests_in_one_piece_are_answered_in_their_order(made: Servers) -> None:
    ready = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    for server in made.both:
        product = await made.shop.goods(2.5, 5)
        wanted = [made.post(PATH, reservation(product, quantity)) for quantity in (1, 9, 2)]
        async with connection(server) as (reader, writer):
            writer.write(wanted[0] + wanted[1] + ready + wanted[2])
            replies = [await reply_from(reader) for _ in range(4)]
        assert [reply.status for reply in replies] == [200, 409, 200, 200]
        assert await made.shop.available(product) == 2


async def test_a_body_may_come_slowly(made: Servers) -> None:
    raw, before = await made.reserve(), made.taken.count
    async with connection(made.lean) as (reader, writer):
        for start in range(0, len(raw), 40):
            writer.write(raw[start : start + 40])
            await writer.drain()
            await asyncio.sleep(0)
        assert (await reply_from(reader)).status == 200
        writer.write(await made.reserve())
        assert (await reply_from(reader)).status == 200
    assert made.taken.count == before + 2


async def test_nothing_is_left_under_way_by_whoever_hangs_up_in_mid_body(made: Servers) -> None:
    raw = await made.reserve()
    for _ in range(5):
        made.taken.begun.clear()
        async with connection(made.lean) as (_, writer):
            writer.write(raw[:-5])
            await made.taken.begun.wait()
            writer.transport.abort()
    await _until(lambda: made.taken.under_way == 0)
    assert (await one_reply(made.lean, raw)).status == 200


async def _until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


class Gate:
    """Holds up what is sent to the owner."""

    def __init__(self, made: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
        bus = made.shop.served.resources.bus
        send = bus.send
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

        async def held(*arguments: Any) -> Any:
            self.reached.set()
            await self.opened.wait()
            return await send(*arguments)

        monkeypatch.setattr(bus, "send", held)


async def test_what_a_client_no_longer_waits_for_is_decided(
    made: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await made.shop.goods(2.5, 5)
    gate = Gate(made, monkeypatch)
    async with connection(made.lean) as (_, writer):
        writer.write(made.post(PATH, reservation(product)))
        await gate.reached.wait()
        writer.transport.abort()
    await asyncio.sleep(0.05)  # the server has seen it
    gate.opened.set()
    await _until(lambda: made.taken.under_way == 0)
    assert await made.shop.available(product) == 4


async def test_a_server_that_leaves_answers_what_is_under_way(
    made: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = await made.reserve()
    gate = Gate(made, monkeypatch)
    async with (
        lean_server(made.app, made.taken) as leaving,
        connection(leaving) as (reader, writer),
    ):
        writer.write(raw)
        await gate.reached.wait()
        leaving.should_exit = True
        assert made.taken.under_way == 1  # what Serve's replica waits for
        await _until(lambda: not leaving.servers[0].is_serving())
        await asyncio.sleep(0.1)  # it has told its connections by now
        gate.opened.set()
        reply = await reply_from(reader)
    assert reply.status == 200
    assert reply.closed
    assert made.taken.under_way == 0


async def test_a_request_has_a_deadline(made: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = await made.reserve()
    monkeypatch.setattr(made.door, "limit", TimeLimit(0.1))
    Gate(made, monkeypatch)
    reply = await one_reply(made.lean, raw)
    assert reply.status == Unavailable.status
    assert "took too long" in reply.body
    # So has a body that never comes.
    reply = await one_reply(made.lean, raw[:-1])
    assert reply.status == Unavailable.status
    assert made.taken.under_way == 0


async def test_nobody_waits_for_what_was_cancelled(
    made: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(*_: Any, shared: bool) -> None:
        if not shared:
            asyncio.current_task().cancel()  # type: ignore[union-attr]
            await asyncio.sleep(0)
        raise asyncio.CancelledError

    route, raw = ("POST", PATH), made.post(PATH, b"{}")
    monkeypatch.setitem(made.app.state.entrance.lean, route, partial(cancelled, shared=True))
    for server in made.both:
        assert (await one_reply(server, raw)).status == Unavailable.status
    monkeypatch.setitem(made.app.state.entrance.lean, route, partial(cancelled, shared=False))
    async with connection(made.lean) as (reader, writer):
        writer.write(raw)
        # HAProxy says for us that the outcome is unknown.
        assert await reader.read() == b""
    assert made.taken.under_way == 0


async def test_a_closed_connection_needs_no_collector(made: Servers) -> None:
    raw = await made.reserve()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            assert (await one_reply(made.lean, raw)).status == 200
            await _until(lambda: not made.lean.server_state.connections)
        kept = [thing for thing in gc.get_objects() if type(thing) is lean_protocol.LeanProtocol]
    finally:
        gc.enable()
    assert kept == []


@pytest.mark.parametrize("authorization", ["", "Bearer nobody"])
async def test_a_place_is_not_kept_for_the_body_of_a_stranger(
    made: Servers, authorization: str
) -> None:
    raw = await made.reserve(Authorization=authorization)
    replies = [comparable(await one_reply(server, raw[:-1])) for server in made.both]
    assert replies[0] == replies[1]
    assert replies[0][0] == 401
    assert made.taken.under_way == 0


async def test_a_full_server_takes_nothing_this_way(
    made: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made.taken.count
    monkeypatch.setattr(made.taken, "full", True)
    assert (await one_reply(made.lean, await made.reserve())).status == 200
    assert made.taken.count == before


async def test_a_session_that_was_ended_is_refused(made: Servers) -> None:
    raw, tokens = await made.reserve(), made.shop.served.resources.edge.tokens
    clerk = await made.shop.caller(Role.CASHIER)
    text = clerk.auth["Authorization"].removeprefix("Bearer ")
    raw = await made.reserve(**clerk.auth)
    assert (await one_reply(made.lean, raw)).status == 200
    session = tokens.recall(text).session_id
    tokens.revoke(type(made.shop.tenant)(session))
    lean, usual = [comparable(await one_reply(server, raw)) for server in made.both]
    assert lean[0] == 401
    assert lean == usual


async def test_limits_hold_and_count_each_request_once(
    made: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = made.shop.served.resources
    limiter = RateLimiter(resources.redis, resources.clock, limits=Limits(user=1))
    monkeypatch.setattr(resources.edge, "limiter", limiter)
    # Taken, admitted, and left to the twin: one request all the same, of ten in ten seconds.
    raw = made.post(PATH, b'{"quantity":1}', (await made.shop.caller(Role.CASHIER)).auth)
    replies = [await one_reply(made.lean, raw) for _ in range(12)]
    assert [reply.status for reply in replies] == [400] * 10 + [429] * 2
    assert replies[-1].headers["ratelimit-limit"] == "10"
    usual = await one_reply(made.usual, raw)
    assert usual.headers.keys() == replies[-1].headers.keys()


async def test_every_request_is_counted_and_logged_in_its_name(
    made: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = made.app.state.entrance.log
    seen: list[tuple[str, str, int]] = []
    record = log.record

    def recorded(context: Any, status: int, seconds: float) -> None:
        seen.append((context.request_id, context.template, status))
        record(context, status, seconds)

    monkeypatch.setattr(log, "record", recorded)
    for server in made.both:
        for name, body in (("one", None), ("two", b'{"quantity":1}')):
            headers = {"X-Request-Id": name}
            raw = made.post(PATH, body, headers) if body else await made.reserve(**headers)
            seen.clear()
            reply = await one_reply(server, raw)
            assert reply.headers["x-request-id"] == name
            assert seen == [(name, PATH, reply.status)]
