"""Reads a JSON body strictly, and numbers exactly: a fraction becomes a Decimal, never a float.

Refused, each with the field's path: names that occur twice, NaN and Infinity, NUL characters
(Postgres' text takes none), halves of surrogate pairs, numbers beyond any use.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn

from core.errors import BadRequest, FieldError, ValidationFailed

MAX_EXPONENT = 40
MAX_DIGITS = 60


def loads(body: bytes) -> Any:
    """The value of a JSON document in UTF-8. Raises BadRequest or ValidationFailed."""
    strange: list[Decimal] = []

    def fraction(text: str) -> Decimal:
        # Longer than MAX_DIGITS: not even parsed, for it would cost what it is long.
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
        raise BadRequest("The body is nested too deeply.") from error
    except ValueError as error:  # an integer of thousands of digits
        raise BadRequest("The body holds a number with too many digits.") from error
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
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValidationFailed([FieldError(twice, "occurs twice in one object")])
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise BadRequest(f"The body is not JSON: {text} is not a number that JSON has.")


def _refuse_strange(value: Any) -> None:
    errors = [
        FieldError(path or "body", problem)
        for path, item in _leaves("", value)
        if (problem := _problem(item))
    ]
    if errors:
        raise ValidationFailed(errors)


def _problem(item: Any) -> str | None:
    if isinstance(item, str):
        return unstorable(item)
    if isinstance(item, Decimal) and not _is_plain(item):
        return "is out of range"
    return None


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield path, name
            yield from _leaves(f"{path}.{name}" if path else name, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(f"{path}[{index}]", item)
    else:
        yield path, value
