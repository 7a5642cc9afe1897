"""Reads a JSON body strictly, and numbers exactly: a fraction becomes a Decimal, never a float.

Refused, each with the field's path: names that occur twice, NaN and Infinity, NUL characters
(Postgres' text takes none), halves of surrogate pairs, numbers too large for any field; and, as a
whole, a body that is nested deeper than MAX_DEPTH, holds more than MAX_VALUES values, or an object
of more than MAX_NAMES names.

This runs on the event loop, for callers that are not identified yet. So each check is one pass over
the body, and stops at the last error that is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from core.errors import BadRequest, FieldError, ValidationFailed
from gateway.errors import MAX_FIELD_ERRORS, json_path

MAX_EXPONENT = 40
MAX_DIGITS = 60
MAX_DEPTH = 64
# Of the largest body, one for each 16 bytes: no useful body comes near it.
MAX_VALUES = 65_536
MAX_NAMES = 256
_TOO_DEEP = f"The body is nested too deeply: at most {MAX_DEPTH} levels."


class _Place(NamedTuple):
    """Where a value lies: in which place, by which name or index. Its path is spelled out only for
    values with an error."""

    parent: _Place | None
    key: str | int


def loads(body: bytes) -> Any:
    """The value of a JSON document in UTF-8. Raises BadRequest or ValidationFailed."""
    strange: list[Decimal] = []

    def fraction(text: str) -> Decimal:
        # Longer than MAX_DIGITS: not even parsed, since the cost grows with its length.
        value = Decimal(text) if len(text) <= MAX_DIGITS else Decimal("NaN")
        if not _is_plain(value):
            strange.append(value)
        return value

    try:
        value = json.loads(
            body.decode(),
            parse_float=fraction,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise BadRequest(_TOO_DEEP) from error
    except ValueError as error:  # an integer of thousands of digits
        raise BadRequest("The body holds a number with too many digits.") from error
    _refuse_vast(body, value)
    # Raw control characters and surrogates never get here; only escapes can bring them.
    if strange or b"\\u" in body:
        _refuse_strange(value)
    return value


def unstorable(text: str) -> str | None:
    """Why `text` cannot be stored; None if it can."""
    if "\x00" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    return None


def _is_plain(value: Decimal) -> bool:
    return value.is_finite() and (not value or abs(value.adjusted()) <= MAX_EXPONENT)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_NAMES:
        raise BadRequest(f"The body holds an object of more than {MAX_NAMES} names.")
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValidationFailed([FieldError(name, "occurs twice in one object")])
            seen.add(name)
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise BadRequest(f"The body is not JSON: {text} is not a number that JSON has.")


def _refuse_vast(body: bytes, value: Any) -> None:
    """Refuses a body with too many levels or values. Only a body whose brackets and commas allow
    for that is gone through."""
    opened = body.count(b"[") + body.count(b"{")
    if opened <= MAX_DEPTH and opened + body.count(b",") < MAX_VALUES:
        return
    level, values = [value], 0
    for depth in range(MAX_DEPTH + 1):
        values += len(level)
        if values > MAX_VALUES:
            raise BadRequest(f"The body holds more than {MAX_VALUES} values.")
        level = [value for value in level if isinstance(value, dict | list)]
        if level and depth == MAX_DEPTH:
            raise BadRequest(_TOO_DEEP)
        level = [inner for outer in level for inner in _inside(outer)]


def _inside(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _refuse_strange(value: Any) -> None:
    errors: list[FieldError] = []
    for place, item in _leaves(value):
        problem = _problem(item)
        if problem is not None:
            errors.append(FieldError(_path(place) or "body", problem))
            if len(errors) == MAX_FIELD_ERRORS:
                break
    if errors:
        raise ValidationFailed(errors)


def _problem(item: Any) -> str | None:
    if isinstance(item, str):
        return unstorable(item)
    if isinstance(item, Decimal) and not _is_plain(item):
        return "is out of range"
    return None


def _leaves(value: Any) -> Iterator[tuple[_Place | None, Any]]:
    """Every name and every value that is no container, in order; a name has the place of its
    object."""
    waiting: list[tuple[_Place | None, Any]] = [(None, value)]
    while waiting:
        place, item = waiting.pop()
        if isinstance(item, dict):
            for name in item:
                yield place, name
            inner = [(_Place(place, name), value) for name, value in item.items()]
            waiting.extend(reversed(inner))
        elif isinstance(item, list):
            inner = [(_Place(place, index), value) for index, value in enumerate(item)]
            waiting.extend(reversed(inner))
        else:
            yield place, item


def _path(place: _Place | None) -> str:
    keys: list[str | int] = []
    while place is not None:
        keys.append(place.key)
        place = place.parent
    return json_path(reversed(keys))
