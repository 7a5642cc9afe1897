"""Lists, part by part: how much is counted, and the cursor that says where the next part begins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from core.errors import FieldError, ValidationFailed
from core.moments import is_kept

# What is counted, and how far pages go by number. Beyond it a cursor leads on.
MAX_COUNTED = 10_000
_MAX_INT = 2**63 - 1

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a list is wanted: a page by its number, from 1 on, or what follows `cursor`.
    With `since` it is of what has changed since then, in that order, deletions too."""

    page: int
    limit: int
    cursor: str | None = None
    since: datetime | None = None

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """Part of a list. `total` is how many there are on all pages; where `total_is_exact` is
    false, there are more than that. `next_cursor` is None at the end. `until` is up to when the
    whole holds what has changed."""

    items: list[T]
    page: int
    limit: int
    total: int
    total_is_exact: bool
    next_cursor: str | None
    until: datetime | None = None

    def map(self, shape: Callable[[T], S]) -> Part[S]:
        """The same part, with each item in another shape."""
        items = [shape(item) for item in self.items]
        known = (self.page, self.limit, self.total, self.total_is_exact, self.next_cursor)
        return Part(items, *known, self.until)


class Cursor(NamedTuple):
    """Where a part ends: the values by which `order` sorts its last item, and what was known of
    the whole, so that nobody counts it again."""

    order: str
    page: int
    total: int
    total_is_exact: bool
    values: tuple[Any, ...]

    def encode(self) -> str:
        values = [_plain(value) for value in self.values]
        text = json.dumps([*self[:4], *values], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    @classmethod
    def order_of(cls, text: str) -> str:
        """The order that a cursor says it is of. Raises ValidationFailed."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            order = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))[0]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise _no_cursor() from error
        if not isinstance(order, str):
            raise _no_cursor()
        return order

    @classmethod
    def decode(cls, text: str, order: str, kinds: Sequence[type]) -> Cursor:
        """Raises ValidationFailed for what is no cursor of this list in this order; `kinds` are
        the types of the values."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            of, page, total, exact, *values = found
            is_sound = type(page) is type(total) is int and type(exact) is bool and of == order
            if not is_sound or not 1 <= page <= _MAX_INT or not 0 <= total <= MAX_COUNTED:
                raise ValueError(text)
            typed = tuple(_typed(v, kind) for v, kind in zip(values, kinds, strict=True))
        except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
            raise _no_cursor() from error
        return cls(order, page, total, exact, typed)


def _no_cursor() -> ValidationFailed:
    return ValidationFailed([FieldError("cursor", "is no cursor of this list in this order")])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _typed(value: Any, kind: type) -> Any:
    """A value as it was before `_plain`. Raises ValueError for what the database does not take."""
    if kind is int and type(value) is int and -_MAX_INT <= value <= _MAX_INT:
        return value
    if not isinstance(value, str):
        raise ValueError(value)
    if kind is UUID:
        return UUID(value)
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or not is_kept(moment):
            raise ValueError(value)
        return moment
    if kind is not str or "\0" in value:
        raise ValueError(value)
    value.encode()  # A lone surrogate is no text.
    return value
