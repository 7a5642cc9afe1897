"""The router of every part of a capability: what a handler returns says how it answers.

`Envelope[X]` and `Page[X]` are answered as they are. A handler that returns `Ordered[X]` answers
`Envelope[X]`, with the receipts in a header, which is in the documentation for the same reason. One
that returns `Made[X]` has written the answer down with what it changed, and that is sent; with
`Ordered[Made[X]]` it has receipts, too. Beside each of them, as in `Ordered[X] | Response`, a
handler may return a response of its own, which is sent as it is.

What a POST makes is answered with 201, as a whole, and with its address in `Location`: the route's
own path and its id, unless the route says `made_at="/api/pos/returns/{id}"`.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from deployments.kit.receipts import DESCRIBED, Ordered, set_receipt
from gateway.answers import recorded, response
from gateway.context import context_of
from gateway.routing import HoldfastRoute
from gateway.schemas import Envelope, Message, Page
from store.kit.commands import Recorded

T = TypeVar("T")
Handler = Callable[..., Awaitable[Any]]
Endpoint = TypeVar("Endpoint", bound=Handler)

LOCATION: dict[str, Any] = {
    "Location": {"description": "Where it is to be read", "schema": {"type": "string"}}
}
# What is answered as it is; all else stands in an envelope.
_WHOLE = (Envelope, Message, Page)


class Made(Generic[T]):
    """The answer of a mutation, as the command log keeps it: `Made.of(supplier)`."""

    __slots__ = ("recorded",)

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded

    @classmethod
    def of(cls, answer: T, status: int = 200) -> Made[T]:
        """Of a model, which stands in an envelope unless it is a whole answer itself."""
        return cls(recorded(status, _whole(answer)))


class Router(APIRouter):
    """A part's routes: `@router.get("/levels", summary="List levels")`."""

    def __init__(self) -> None:
        super().__init__(route_class=HoldfastRoute)

    def post(
        self, path: str, *, made_at: str | None = None, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        def add(endpoint: Endpoint) -> Endpoint:
            self.add_api_route(path, endpoint, methods=["POST"], made_at=made_at, **options)
            return endpoint

        return add

    def add_api_route(self, path: str, endpoint: Handler, **options: Any) -> None:
        returned = _returned(endpoint)
        kind = get_origin(returned)
        made_at: str | None = options.pop("made_at", None)
        makes = options.get("status_code") == 201
        if makes:
            options["responses"] = _described(options.get("responses") or {}, 201, LOCATION)
        if kind in (Made, Ordered):
            [answer] = get_args(returned)
            if get_origin(answer) is Made:
                [answer] = get_args(answer)
            options["response_model"] = _model(answer)
            if kind is Made:
                endpoint = _sending(endpoint)
            else:
                endpoint = _setting_receipts(endpoint)
                status = options.get("status_code") or 200
                options["responses"] = _described(options.get("responses") or {}, status, DESCRIBED)
        if makes:
            options.setdefault("response_model", returned)
            endpoint = _naming_the_place(endpoint, made_at)
        super().add_api_route(path, endpoint, **options)


def _returned(endpoint: Handler) -> Any:
    """What the handler says that it returns, but for responses of its own."""
    returned = get_type_hints(endpoint, include_extras=True).get("return")
    if get_origin(returned) in (Union, UnionType):
        [returned] = [answer for answer in get_args(returned) if answer is not Response]
    return returned


def _model(answer: Any) -> Any:
    base = getattr(answer, "__pydantic_generic_metadata__", {}).get("origin") or answer
    return answer if base in _WHOLE else Envelope[answer]


def _whole(answer: Any) -> BaseModel:
    return answer if isinstance(answer, _WHOLE) else Envelope(data=answer)


def _described(
    responses: Mapping[int | str, dict[str, Any]], status: int, headers: dict[str, Any]
) -> dict[int | str, dict[str, Any]]:
    """With headers in the documentation of the answer that has them."""
    own = responses.get(status, {})
    headers = headers | own.get("headers", {})
    return {**responses, status: {**own, "headers": headers}}


def _sending(handler: Handler) -> Handler:
    @functools.wraps(handler)
    async def answer(**given: Any) -> Response:
        made: Made[Any] | Response = await handler(**given)
        return made if isinstance(made, Response) else response(made.recorded)

    return _signed(answer, _parameters(handler))


def _setting_receipts(handler: Handler) -> Handler:
    parameters = _parameters(handler)
    name, is_new = _parameter_of(parameters, Response, "sent_response")

    @functools.wraps(handler)
    async def answer(**given: Any) -> BaseModel | Response:
        sent: Response = given.pop(name) if is_new else given[name]
        ordered: Ordered[Any] | Response = await handler(**given)
        if isinstance(ordered, Response):
            return ordered
        if not isinstance(ordered.reply, Made):
            set_receipt(sent, ordered.receipts)
            return _whole(ordered.reply)
        recorded_answer = response(ordered.reply.recorded)
        set_receipt(recorded_answer, ordered.receipts)
        return recorded_answer

    return _signed(answer, parameters)


def _naming_the_place(handler: Handler, made_at: str | None) -> Handler:
    parameters = _parameters(handler)
    asked, is_new = _parameter_of(parameters, Request, "made_request")
    name, is_added = _parameter_of(parameters, Response, "made_response")

    @functools.wraps(handler)
    async def answer(**given: Any) -> Any:
        request: Request = given.pop(asked) if is_new else given[asked]
        sent: Response = given.pop(name) if is_added else given[name]
        answered = await handler(**given)
        if isinstance(answered, Response):
            sent = answered
        if sent.status_code not in (None, 201):
            return answered
        made_id = _id_in(answered)
        sent.headers["Location"] = (
            f"{context_of(request.scope).path}/{made_id}"
            if made_at is None
            else made_at.replace("{id}", str(made_id))
        )
        return answered

    return _signed(answer, parameters)


def _id_in(answered: Any) -> Any:
    """The id of what was made, of an answer as a model or as it was written down."""
    if isinstance(answered, Response):
        data = json.loads(bytes(answered.body))["data"]
        return data["id"] if "id" in data else data["sale"]["id"]
    data = answered.data
    return data.id if hasattr(data, "id") else data.sale.id


def _parameter_of(parameters: list[inspect.Parameter], kind: type, name: str) -> tuple[str, bool]:
    """What a handler calls what it takes of FastAPI, which gives it under one name alone; it gets a
    parameter `name` where it has none, and the answer says so."""
    for own in parameters:
        if own.annotation is kind:
            return own.name, False
    parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind))
    return name, True


def _parameters(handler: Handler) -> list[inspect.Parameter]:
    """A handler's parameters with their types, which may stand there as text."""
    hints = get_type_hints(handler, include_extras=True)
    return [
        parameter.replace(annotation=hints.get(parameter.name, parameter.annotation))
        for parameter in inspect.signature(handler).parameters.values()
    ]


def _signed(answer: Handler, parameters: list[inspect.Parameter]) -> Handler:
    """The handler, with the signature by which FastAPI calls it."""
    answer.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return answer
