"""The router of every part of a capability: what a handler returns says how it answers.

`Envelope[X]` and `Page[X]` are answered as they are. A handler that returns `Ordered[X]` answers
`Envelope[X]`, with the receipts in a header, which is in the documentation for the same reason. One
that returns `Made[X]` has written the answer down with what it changed, and that is sent; with
`Ordered[Made[X]]` it has receipts, too. Beside each of them, as in `Ordered[X] | Response`, a
handler may return a response of its own, which is sent as it is.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from fastapi import APIRouter, Response
from pydantic import BaseModel

from deployments.kit.receipts import DESCRIBED, Ordered, set_receipt
from gateway.answers import recorded, response
from gateway.routing import HoldfastRoute
from gateway.schemas import Envelope, Message, Page
from store.kit.commands import Recorded

T = TypeVar("T")
Handler = Callable[..., Awaitable[Any]]

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

    def add_api_route(self, path: str, endpoint: Handler, **options: Any) -> None:
        returned = _returned(endpoint)
        kind = get_origin(returned)
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
                options["responses"] = _described(options.get("responses") or {}, status)
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
    responses: Mapping[int | str, dict[str, Any]], status: int
) -> dict[int | str, dict[str, Any]]:
    """With the header of receipts in the documentation of the answer that has them."""
    own = responses.get(status, {})
    headers = DESCRIBED | own.get("headers", {})
    return {**responses, status: {**own, "headers": headers}}


def _sending(handler: Handler) -> Handler:
    @functools.wraps(handler)
    async def answer(**given: Any) -> Response:
        made: Made[Any] | Response = await handler(**given)
        return made if isinstance(made, Response) else response(made.recorded)

    return _signed(answer, _parameters(handler))


def _setting_receipts(handler: Handler) -> Handler:
    parameters = _parameters(handler)
    own = next((each.name for each in parameters if each.annotation is Response), None)
    name = own or "sent_response"

    @functools.wraps(handler)
    async def answer(**given: Any) -> BaseModel | Response:
        sent: Response = given[name] if own else given.pop(name)
        ordered: Ordered[Any] | Response = await handler(**given)
        if isinstance(ordered, Response):
            return ordered
        if not isinstance(ordered.reply, Made):
            set_receipt(sent, ordered.receipts)
            return _whole(ordered.reply)
        recorded_answer = response(ordered.reply.recorded)
        set_receipt(recorded_answer, ordered.receipts)
        return recorded_answer

    if own is None:
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(name, kind, annotation=Response))
    return _signed(answer, parameters)


def _parameters(handler: Handler) -> list[inspect.Parameter]:
    """A handler's parameters with their types, which may stand there as text."""
    hints = get_type_hints(handler, include_extras=True)
    return [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in inspect.signature(handler).parameters.values()
    ]


def _signed(answer: Handler, parameters: list[inspect.Parameter]) -> Handler:
    """The handler, with the signature by which FastAPI calls it."""
    answer.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return answer
