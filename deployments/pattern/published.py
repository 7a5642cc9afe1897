"""What the API's description must not say: money as a float, input without a bound, lists without
pages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from deployments.pattern.faults import Fault
from gateway.routing import HoldfastRoute
from gateway.rules import models_in, models_read

Schema = Mapping[str, Any]

_FLOAT = (
    "is a float, which is not exact: an amount of money is an `Amount` (gateway/schemas.py),"
    " in minor units inside; a rate in millionths (`_ppm`) or a Decimal"
)
_MINOR = "is in minor units, which are whole: write `int`; outside, amounts are an `Amount`"
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_SIZED = frozenset({"maxLength", "enum", "const"})
_SAYS = frozenset({"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"})
_NAME = re.compile(r"[a-z][A-Za-z0-9]*")
_SEGMENT = re.compile(r"[a-z0-9.-]*|\{[A-Za-z]+\}")
# Formats that pydantic reads into types of a size of their own.
_FORMATS = frozenset({"uuid", "date", "date-time", "time", "email"})
# What may repeat without an end.
_ENDLESS = re.compile(r"(?<!\\)[*+]|\{\d+,\}")


def inexact(routes: Sequence[HoldfastRoute]) -> Iterator[Fault]:
    """Fields of bodies, queries and answers that are floats, or in minor units and no int."""
    models: dict[str, type[BaseModel]] = {}
    for route in routes:
        for model in (*models_read(route), *models_in([route.response_model])):
            models[f"{model.__module__}.{model.__name__}"] = model
    for model in models.values():
        for name, field in model.model_fields.items():
            if _holds(field.annotation, float):
                yield Fault(f"{model.__name__}.{name}: float", _FLOAT)
            whole = {*get_args(field.annotation), field.annotation} - {type(None)}
            if name.endswith("_minor") and int not in whole:
                yield Fault(f"{model.__name__}.{name}: minor", _MINOR)


def _holds(annotation: Any, kind: type) -> bool:
    return annotation is kind or any(_holds(part, kind) for part in get_args(annotation))


def misplaced(routes: Sequence[HoldfastRoute], document: Schema) -> Iterator[Fault]:
    """Handlers that are not asynchronous, names that are not written as all are, and moments
    without an offset."""
    for route in routes:
        place = f"{'/'.join(sorted(route.methods or ()))} {route.template}"
        if not inspect.iscoroutinefunction(inspect.unwrap(route.endpoint)):
            yield Fault(f"{place}: async", "is a plain function: write `async def`")
        if not all(_SEGMENT.fullmatch(part) for part in route.template.split("/")):
            yield Fault(
                f"{place}: path", "is written otherwise than all paths: /low-stock/{productId}"
            )
        for model in models_read(route):
            for name, field in model.model_fields.items():
                if _holds(field.annotation, datetime):
                    yield Fault(
                        f"{model.__name__}.{name}: moment",
                        "takes a moment without an offset, or a bare number: it is a `Moment`"
                        " (gateway/schemas.py)",
                    )
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] != "header" and not _NAME.fullmatch(parameter["name"]):
                    yield Fault(
                        f"{method.upper()} {path}: {parameter['name']}",
                        "is no camelCase name: put the query's fields into a QueryModel, `query:"
                        " Annotated[XQuery, Query()]`",
                    )


def unpaged(routes: Sequence[HoldfastRoute]) -> Iterator[Fault]:
    """Reads that answer a whole list."""
    for route in routes:
        data = getattr(route.response_model, "model_fields", {}).get("data")
        is_page = "pagination" in getattr(route.response_model, "model_fields", {})
        if "GET" not in (route.methods or ()) or data is None or is_page:
            continue
        if get_origin(data.annotation) in (list, tuple, set, frozenset):
            yield Fault(
                f"GET {route.template}: page",
                "answers a list as a whole, however long it grows: return `Page[X]` of"
                " `page(...)` (deployments/kit/routes.py), and take a `PageQuery`",
            )


def bounded(routes: Sequence[HoldfastRoute]) -> Iterator[Fault]:
    """Numbers of answers that are held to a bound, as those of requests must be."""
    models: dict[str, type[BaseModel]] = {}
    for model in models_in([route.response_model for route in routes]):
        models[f"{model.__module__}.{model.__name__}"] = model
    for model in models.values():
        properties = model.model_json_schema(mode="serialization").get("properties", {})
        for name, schema in properties.items():
            if any(_BOUNDS & part.keys() for part in _inside(schema)):
                yield Fault(
                    f"{model.__name__}.{name}: answered",
                    "is held to a bound in an answer, where sums grow beyond it and what is stored"
                    " must stay readable: an amount is a `Sum` (gateway/schemas.py), a number has"
                    " no bound",
                )


def _inside(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and those within, of numbers alone."""
    if isinstance(schema, Mapping):
        if schema.get("type") in ("integer", "number"):
            yield schema
        for part in schema.values():
            yield from _inside(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _inside(part)


def unbounded(document: Schema) -> Iterator[Fault]:
    """What callers may send of any size."""
    schemas: Schema = document["components"]["schemas"]
    seen: set[str] = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                where = f"{method.upper()} {path}: {parameter['name']}"
                yield from _endless(parameter["schema"], where, schemas, seen)
            content = operation.get("requestBody", {}).get("content", {})
            for media in content.values():
                yield from _endless(media["schema"], f"{method.upper()} {path}", schemas, seen)


def _endless(schema: Schema, where: str, schemas: Schema, seen: set[str]) -> Iterator[Fault]:
    if (name := schema.get("$ref", "").rpartition("/")[2]) and name not in seen:
        seen.add(name)
        yield from _endless(schemas[name], name, schemas, seen)
    if missing := _missing(schema):
        yield Fault(
            f"{where}: bound",
            f"takes {missing}: use a type of gateway/fields.py, or"
            " `Field(max_length=...)` of texts and lists, `Field(ge=..., le=...)` of numbers; a"
            " column has the same bound",
        )
    for name, part in schema.get("properties", {}).items():
        yield from _endless(part, f"{where}.{name}", schemas, seen)
    further = [schema.get("items"), schema.get("additionalProperties")]
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        further += schema.get(key, ())
    for part in (*further, *schema.get("patternProperties", {}).values()):
        if isinstance(part, Mapping):
            yield from _endless(part, where, schemas, seen)


def _missing(schema: Schema) -> str | None:
    """Of what sort a schema takes any amount."""
    if not _SAYS & schema.keys():
        return "anything at all"
    match schema.get("type"):
        case "string":
            is_sized = _SIZED & schema.keys() or schema.get("format") in _FORMATS
            pattern = schema.get("pattern", "*")
            ends = pattern.startswith("^") and pattern.endswith("$")
            return None if is_sized or (ends and not _ENDLESS.search(pattern)) else "any text"
        case "integer" | "number":
            ends = {"maximum", "exclusiveMaximum", "enum", "const"} & schema.keys()
            return None if ends else "any number"
        case "array":
            return None if "maxItems" in schema else "any number of items"
        case "object":
            names = schema.get("propertyNames", {})
            is_map = {"additionalProperties", "patternProperties"} & schema.keys()
            is_open = (
                schema.get("additionalProperties") is not False or "patternProperties" in schema
            )
            if is_map and is_open and "maxProperties" not in schema and "enum" not in names:
                return "any number of names"
    return None
