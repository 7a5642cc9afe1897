"""Refusals as errors: what an owner refuses, and what a replica turned down at an earlier try."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.messages import STEPS, Refused
from core.errors import FieldError, HoldfastError, error_class
from core.ids import text_of
from core.money import from_minor
from core.quantities import shown_steps
from gateway.errors import MAX_FIELD_ERRORS

# Of refusals that have no amounts in them.
NO_CURRENCY = "XXX"
# Facts that are places, which the API counts from 1; not where it names the index in the body.
_PLACES = ("line", "payment")
_INDEXED = frozenset({"stock_changed"})


def error_of(refused: Refused) -> HoldfastError:
    """The error that stands for a refusal, with its facts as the API names them: amounts in whole
    units of the currency, quantities in those of their product."""
    kind = error_class(refused.code)
    if kind is None:
        raise LookupError(f"no error stands for the refusal {refused.code!r}")
    currency = str(refused.facts.get("currency", NO_CURRENCY))
    extra: dict[str, Any] = {
        name.removesuffix("Minor"): float(from_minor(int(value), currency))
        if name.endswith("Minor")
        else value
        for name, value in refused.facts.items()
    }
    for name in [name for name in extra if name.endswith(STEPS)]:
        decimals = int(refused.facts["quantityDecimals"])
        extra[name.removesuffix(STEPS)] = shown_steps(int(extra.pop(name)), decimals)
        extra.pop("quantityDecimals", None)
    if refused.code not in _INDEXED:
        extra |= {name: int(extra[name]) + 1 for name in _PLACES if name in extra}
    if refused.shortages:
        extra["shortages"] = [
            {
                "productId": text_of(short.product_id),
                "requested": shown_steps(short.requested, short.decimals),
                "available": shown_steps(short.available, short.decimals),
            }
            for short in refused.shortages
        ]
    return _made(kind, None, (), extra)


class RecordedError(msgspec.Struct):
    """An error as the log of commands keeps it: its fields are stored by these names."""

    status: int
    code: str
    title: str
    detail: str
    errors: list[FieldError]
    extra: dict[str, Any]


def as_text(error: HoldfastError) -> str:
    """An error as text, for `first_refusal` to read."""
    errors = list(error.errors[:MAX_FIELD_ERRORS])
    recorded = RecordedError(
        error.status, error.code, error.title, error.detail, errors, error.extra
    )
    return msgspec.json.encode(recorded).decode()


def first_refusal(text: str) -> HoldfastError:
    """The error as it was first answered, perhaps by another replica, of another build."""
    recorded = msgspec.json.decode(text, type=RecordedError)
    kind = error_class(recorded.code) or HoldfastError
    error = _made(kind, recorded.detail, recorded.errors, recorded.extra)
    error.status, error.code, error.title = recorded.status, recorded.code, recorded.title
    return error


def _made(
    kind: type[HoldfastError],
    detail: str | None,
    errors: Any,
    extra: dict[str, Any],
) -> HoldfastError:
    """One of a kind whose own way to be made may ask for something else."""
    error = kind.__new__(kind)
    HoldfastError.__init__(error, detail, errors=errors, extra=extra)
    return error
