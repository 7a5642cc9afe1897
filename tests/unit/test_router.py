"""What a handler returns says how it answers: what is documented, and what is sent."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Response
from fastapi.routing import APIRoute

from actors.runtime.wire import Receipt
from deployments.kit.receipts import RECEIPT_HEADER, Ordered
from deployments.kit.router import Made, Router
from gateway.schemas import CamelModel, Envelope, Message

RECEIPTS = (Receipt("till", 7, 1), Receipt("tea", 3, 1))
HEADER = "till; seq=7; epoch=1, tea; seq=3; epoch=1"


class ThingOut(CamelModel):
    name: str


async def ordered() -> Ordered[ThingOut]:
    return Ordered(ThingOut(name="tea"), RECEIPTS)


async def ordered_message() -> Ordered[Message]:
    return Ordered(Message(message="gone"), RECEIPTS)


async def written_down() -> Ordered[Made[ThingOut]]:
    return Ordered(Made.of(ThingOut(name="tea")), RECEIPTS)


async def nothing_decided() -> Ordered[ThingOut]:
    return Ordered(ThingOut(name="tea"))


async def not_known_yet() -> Ordered[ThingOut] | Response:
    return Response(status_code=202)


async def made() -> Made[ThingOut]:
    return Made.of(ThingOut(name="tea"), 201)


def added(handler: Any, status: int = 201) -> APIRoute:
    router = Router()
    router.add_api_route("/things", handler, methods=["POST"], status_code=status)
    [route] = router.routes
    assert isinstance(route, APIRoute)
    return route


def documents(route: APIRoute) -> bool:
    return RECEIPT_HEADER in route.responses.get(201, {}).get("headers", {})


@pytest.mark.parametrize("handler", [ordered, written_down, nothing_decided, not_known_yet])
def test_what_an_owner_decides_documents_receipts(handler: Any) -> None:
    route = added(handler)
    assert documents(route)
    assert route.response_model == Envelope[ThingOut]


def test_what_stands_for_itself_has_no_envelope() -> None:
    route = added(ordered_message)
    assert documents(route)
    assert route.response_model is Message


def test_what_no_owner_decides_documents_none() -> None:
    route = added(made)
    assert not documents(route)
    assert route.response_model == Envelope[ThingOut]


async def test_receipts_are_set() -> None:
    sent = Response()
    answer = await added(ordered, 200).endpoint(sent_response=sent)
    assert answer == Envelope(data=ThingOut(name="tea"))
    assert sent.headers[RECEIPT_HEADER] == HEADER


async def test_what_is_written_down_is_sent_with_receipts() -> None:
    answer = await added(written_down, 200).endpoint(sent_response=Response())
    assert answer.body == b'{"success":true,"data":{"name":"tea"}}'
    assert answer.headers[RECEIPT_HEADER] == HEADER


async def test_there_is_no_header_where_nothing_was_decided() -> None:
    sent = Response()
    await added(nothing_decided, 200).endpoint(sent_response=sent)
    assert RECEIPT_HEADER not in sent.headers


async def test_a_response_of_its_own_is_sent_as_it_is() -> None:
    sent = Response()
    answer = await added(not_known_yet, 200).endpoint(sent_response=sent)
    assert answer.status_code == 202
    assert RECEIPT_HEADER not in answer.headers
