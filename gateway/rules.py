"""The rules that every route keeps, checked when an application starts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.access import READING
from gateway.routing import HoldfastRoute

_PARAMETER = re.compile(r"\{([^}:]*)")
_CAMEL = re.compile(r"[a-z][A-Za-z0-9]*")
# FastAPI's name for a schema where several have one name: with its module, dots as two underscores.
_QUALIFIED = re.compile(r"[a-z]\w*__[A-Z]").match


class BadRoute(Exception):
    """A capability's route breaks a rule that all of them keep."""


def checked(capability: str, route: BaseRoute) -> HoldfastRoute:
    """The route, which keeps every rule. Raises BadRoute, which names the rule."""
    if not isinstance(route, HoldfastRoute):
        raise BadRoute(f"{capability}: {route!r} is not a HoldfastRoute")
    if broken := next(_broken(route), None):
        methods = "/".join(sorted(route.methods or ()))
        raise BadRoute(f"{capability}: {methods} {route.path} ({route.name}) {broken}")
    return route


def check_names(schemas: Sequence[str]) -> None:
    """Raises BadRoute where two models of one name became two schemas with long ones."""
    if clashes := [name for name in schemas if _QUALIFIED(name)]:
        raise BadRoute(
            f"two models have one name, give one of them another: {', '.join(sorted(clashes))}"
        )


def _broken(route: HoldfastRoute) -> Iterator[str]:
    access = route.access
    if access is None:
        yield "does not say who may use it"
    elif access.is_public and access.cost is None and READING & (route.methods or set()):
        yield "does not say what it costs"
    if not route.summary:
        yield "has no summary"
    for name in _PARAMETER.findall(route.path):
        if not _CAMEL.fullmatch(name):
            yield f"has the parameter {name}, which is not camelCase"
    if not _answers_a_model(route):
        yield "answers no model: return Envelope[X], Page[X], Ordered[X], Made[X] or a Response"
    for model in models_read(route):
        if model.model_config.get("extra") != "forbid":
            yield (
                f"reads {model.__name__}, which takes unknown fields without a word: it must be a"
                " CamelModel or a QueryModel"
            )


def _answers_a_model(route: HoldfastRoute) -> bool:
    answered = route.response_model
    if answered is None:  # The route sends answers of its own, and declares that.
        returned = inspect.signature(route.endpoint, eval_str=True).return_annotation
        return inspect.isclass(returned) and issubclass(returned, Response)
    return inspect.isclass(answered) and issubclass(answered, BaseModel)


def models_read(route: HoldfastRoute) -> Iterator[type[BaseModel]]:
    """The models of a route's body and query, and those inside of them."""
    dependant = route.dependant
    fields = (*dependant.body_params, *dependant.query_params)
    return models_in([field.field_info.annotation for field in fields])


def models_in(annotations: Iterable[Any]) -> Iterator[type[BaseModel]]:
    """The models of some types, and those inside of them."""
    waiting: list[Any] = list(annotations)
    seen: set[Any] = set()
    while waiting:
        annotation = waiting.pop()
        if annotation in seen:
            continue
        seen.add(annotation)
        waiting.extend(get_args(annotation))
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
            waiting.extend(field.annotation for field in annotation.model_fields.values())
