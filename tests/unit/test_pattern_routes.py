"""What a route, a body or a consumer does otherwise than all is found, and the message says what to
write instead."""

from __future__ import annotations

import pytest

from deployments.pattern.faults import Fault, unexempted
from tests.unit.test_pattern import CAPABILITY, Lines, lines

__all__ = ["lines"]

HEAD = """
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import Field

from actors.messages import Refused
from actors.stock.model import Hold, ReleaseOldest
from core.errors import (
    ChooseVariant,
    HoldfastError,
    InsufficientStock,
    MeasureChanged,
    NoOpenHold,
    NotFound,
)
from core.principal import Principal
from deployments.kit import desk
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources, Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key, Staff, change
from gateway.errors import responses
from gateway.fields import ShortName
from gateway.schemas import Amount, CamelModel, Envelope, Page, QueryModel, Sum
from store.kit.engine import Scope, Transaction

router = Router()


class NewThing(CamelModel):
    name: ShortName


class ThingOut(CamelModel):
    name: str


"""
SENT = """
@router.post("/freed", summary="Free", responses=responses({documented}))
async def free(shared: Shared, principal: Staff, key: Key) -> Ordered[ThingOut]:
    return await _freed(shared, principal, key)


async def _freed(shared: Resources, principal: Principal, key: Any) -> Ordered[ThingOut]:
    async def draft() -> ReleaseOldest:
        return ReleaseOldest(UUID(int=1), 1, None)

    {send}
"""
SENDING = "return (await desk.send(shared, principal, key, draft)).to(lambda freed: freed)"
CAUGHT = """try:
        await desk.send(shared, principal, key, draft)
    except HoldfastError:
        pass
    return Ordered(ThingOut(name="x"))"""
MADE = """
@router.post("/things", summary="Make")
async def make(shared: Shared, principal: Staff{key}, body: NewThing) -> {returns}:
    async def work(tx: Transaction) -> Made[ThingOut]:
        return Made.of(ThingOut(name="x"))

    {does}
"""
READ = """
class Asked(QueryModel):
    word: {kind} = None


class Shown(CamelModel):
    {shown}


@router.get("/things", summary="List")
async def show(
    shared: Shared, principal: Staff, query: Annotated[Asked, Query()]
) -> {returns}:
    return {{}}
"""
BOUND = "Annotated[str | None, Field(max_length=10)]"
CONSUMER = """
from deployments.auth.events import InvitationCreated
from deployments.kit.consumers import Consumer
from odd.things.routes import make


async def _again(tx: Any, tenant_id: Any, delivery: Any) -> None:
    await make(None, None, None)


again = Consumer("things.again", (InvitationCreated,), _again)
"""


def reading(kind: str = BOUND, shown: str = "name: str", returns: str = "Envelope[Shown]") -> str:
    return READ.format(kind=kind, shown=shown, returns=returns)


def making(
    key: str = ", key: Key",
    returns: str = "Made[ThingOut]",
    does: str = "return await change(shared, principal, key, work)",
) -> str:
    return MADE.format(key=key, returns=returns, does=does)


def sending(documented: str, send: str = SENDING) -> str:
    return SENT.format(documented=f"MeasureChanged, {documented}", send=send)


def found(lines: Lines, text: str, **more: str) -> list[str]:
    files = {f"things/{name}.py": source for name, source in more.items()}
    return lines({"things/routes.py": HEAD + text, "things/capability.py": CAPABILITY, **files})


@pytest.mark.parametrize(
    "text",
    [
        sending("NotFound, NoOpenHold"),
        sending("NotFound", CAUGHT),
        making(),
        making("", "Envelope[ThingOut]", "return {}").replace("post", "get"),
        reading(),
        reading(returns="Page[Shown]"),
        reading(shown="price: Sum"),
        reading(shown="price_minor: int | None"),
        reading("Annotated[int | None, Field(ge=0, le=9)]"),
    ],
)
def test_what_follows_the_pattern_is_not_complained_of(lines: Lines, text: str) -> None:
    assert found(lines, text) == []


def test_a_refusal_that_is_not_documented(lines: Lines) -> None:
    [line] = found(lines, sending("NotFound"))
    assert line.startswith("POST /api/things/freed: no_open_hold - ReleaseOldest may be refused so")
    assert "actors.stock" in line
    assert "write `responses(..., NoOpenHold)`" in line


def test_of_two_sets_of_responses_the_second_hides_the_first(lines: Lines) -> None:
    both = "NoOpenHold) | responses(MeasureChanged, InsufficientStock"
    [line] = found(lines, sending(both))
    assert "no_open_hold" in line


def test_a_refusal_that_is_raised_again_is_heard(lines: Lines) -> None:
    [line] = found(lines, sending("NotFound", CAUGHT.replace("pass", "raise")))
    assert "no_open_hold" in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (making("", "Envelope[ThingOut]", "return {}"), "/things: key - takes no key"),
        (making(returns="Envelope[ThingOut]"), "/things: answer - answers what is not written"),
        (
            making(
                does="async with shared.db.transaction(Scope(UUID(int=1))) as tx:\n"
                "        return await work(tx)"
            ),
            "/things: once - writes in a transaction of its own",
        ),
        (reading(returns="Envelope[list[Shown]]"), "GET /api/things/things: page - answers a list"),
        (reading("Any"), "word: bound - takes anything at all"),
        (reading("datetime | None"), "Asked.word: moment - takes a moment without an offset"),
        (
            making(does="return None").replace("async def make", "def make"),
            "/things: async - is a plain function",
        ),
        (making().replace('post("/things', 'post("/all_things'), "/all_things: path - is written"),
        (
            "class NewOther(CamelModel):\n    words: Any\n"
            + making().replace("NewThing", "NewOther"),
            "NewOther.words: bound - takes anything at all",
        ),
        (
            making().replace("shared: Shared", "page_size: int, shared: Shared"),
            "POST /api/things/things: page_size - is no camelCase name",
        ),
        (reading("str | None"), "GET /api/things/things: word: bound - takes any text"),
        (reading("Annotated[int | None, Field(ge=0)]"), "word: bound - takes any number"),
        (
            reading("Annotated[str | None, Field(pattern=r'^[a-z]+$')]"),
            "word: bound - takes any text",
        ),
        (reading(f"list[{BOUND}] | None"), "word: bound - takes any number of items"),
        (reading(shown="price: Amount"), "Shown.price: answered - is held to a bound"),
        (
            reading(shown="left: list[Annotated[int, Field(le=9)]]"),
            "Shown.left: answered - is held to a bound",
        ),
        (reading(shown="price: float"), "Shown.price: float - is a float"),
        (reading(shown="prices: dict[str, float] | None"), "Shown.prices: float - is a float"),
        (reading(shown="price_minor: Sum"), "Shown.price_minor: minor - is in minor units"),
        (
            "class NewOther(CamelModel):\n    words: dict[str, str]\n"
            + making().replace("NewThing", "NewOther"),
            "NewOther.words: bound - takes any number of names",
        ),
    ],
)
def test_what_does_not(lines: Lines, text: str, said: str) -> None:
    complaints = found(lines, text)
    assert any(said in line for line in complaints), complaints


def test_a_consumer_calls_no_route(lines: Lines) -> None:
    declared = CAPABILITY.replace("(router,))", "(router,), consumers=(again,))")
    declared = "from odd.things.again import again\n" + declared
    files = {"things/again.py": "from typing import Any\n" + CONSUMER}
    complaints = lines(
        {"things/routes.py": HEAD + making(), **files, "things/capability.py": declared}
    )
    assert [line for line in complaints if "things.again: make - calls the route" in line]


def test_a_consumer_asks_no_owner(lines: Lines) -> None:
    declared = CAPABILITY.replace("(router,))", "(router,), consumers=(again,))")
    declared = "from odd.things.again import again\n" + declared
    asking = CONSUMER.replace("make(None, None, None)", "desk.send(None, None, None, None)")
    asking = asking.replace(
        "from odd.things.routes import make", "from deployments.kit import desk"
    )
    complaints = lines(
        {
            "things/routes.py": HEAD + making(),
            "things/again.py": "from typing import Any\n" + asking,
            "things/capability.py": declared,
        }
    )
    assert [line for line in complaints if "things.again: send - asks an owner" in line]


def test_a_reason_is_taken_as_long_as_it_is_needed() -> None:
    fault = Fault("GET /things: page", "answers a list")
    assert unexempted([fault], {"GET /things: page": "only two"}) == []
    [line] = unexempted([], {"GET /things: page": "only two"})
    assert "which is not wrong" in line
