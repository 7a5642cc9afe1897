"""What every request and answer looks like: camelCase names, exact numbers, one envelope."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from core.moments import EARLIEST, LATEST, is_kept
from core.money import MAX_AMOUNT_MINOR
from core.paging import MAX_COUNTED, Part, Span

T = TypeVar("T")

MAX_PAGE = MAX_COUNTED
MAX_CURSOR = 4_000
MAX_LIMIT = 100
_STRICT_TYPES = frozenset({"int", "bool"})


def _make_strict(schema: Any) -> None:
    """Sets `strict` on each whole number and truth value in a core schema that does not say, and
    has no model take a field by the name that it has in Python."""
    if isinstance(schema, list | tuple):
        for item in schema:
            _make_strict(item)
    elif isinstance(schema, dict):
        kind = schema.get("type")  # a schema, where a field has that name
        if isinstance(kind, str) and kind in _STRICT_TYPES:
            schema.setdefault("strict", True)
        elif kind == "model" and "config" in schema:
            schema["config"] = {**schema["config"], "validate_by_name": False}
        for key, value in schema.items():
            if key not in ("metadata", "serialization"):
                _make_strict(value)


class _Named(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", from_attributes=True
    )


class CamelModel(_Named):
    """A JSON object. Names are camelCase outside, where all others are refused; in Python they may
    be given either way. Whole numbers and truth values are taken as such, never from text."""

    if not TYPE_CHECKING:

        def __init__(self, /, **data: Any) -> None:
            self.__pydantic_validator__.validate_python(data, self_instance=self, by_name=True)

        # Otherwise pydantic would call it with input from outside, too.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        _make_strict(schema)
        return schema

    @classmethod
    def shown(cls, row: object, **others: Any) -> Self:
        """An answer whose fields are those of `row`, but for `others`."""
        own = cls.model_fields.keys() - others.keys()
        return cls(**{name: getattr(row, name) for name in own}, **others)


class QueryModel(_Named):
    """Query parameters: `query: Annotated[MyQuery, Query()]`. All of it arrives as text."""


class Envelope(CamelModel, Generic[T]):
    """An answer with one thing in it."""

    success: Literal[True] = True
    message: str | None = Field(default=None, exclude_if=lambda value: value is None)
    data: T


class Message(CamelModel):
    """An answer with nothing in it."""

    success: Literal[True] = True
    message: str


class Pagination(CamelModel):
    page: int
    limit: int
    total: int = Field(description=f"How many there are on all pages; {MAX_COUNTED} at most")
    total_is_exact: bool = Field(
        default=True,
        description="False where there may be more than `total`; left out where there are not",
        exclude_if=lambda exact: exact,
    )
    next_cursor: str | None = Field(
        default=None,
        description="What `cursor` the next page takes; absent with the last. Filters that have no"
        f" index are asked of {MAX_COUNTED} rows at a time: then a page may have fewer rows than"
        " `limit`, or none, and lead on all the same",
        exclude_if=lambda cursor: cursor is None,
    )
    next_updated_since: datetime | None = Field(
        default=None,
        description="With `updatedSince`: what the next sync gives as `updatedSince`, once this one"
        " has come to its last page",
        exclude_if=lambda until: until is None,
    )


class Page(CamelModel, Generic[T]):
    """One page of a list."""

    success: Literal[True] = True
    data: list[T]
    pagination: Pagination


def page_of(part: Part[T]) -> Page[T]:
    """A part of a list as it is answered."""
    pagination = Pagination(
        page=part.page,
        limit=part.limit,
        total=part.total,
        total_is_exact=part.total_is_exact,
        next_cursor=part.next_cursor,
        next_updated_since=part.until,
    )
    return Page(data=part.items, pagination=pagination)


def _within_reach(page: int, info: ValidationInfo) -> int:
    if page * info.data.get("limit", 1) > MAX_COUNTED:
        raise ValueError(
            f"goes as far as row {MAX_COUNTED}; beyond it `cursor` leads on, which each page"
            " gives as `pagination.nextCursor`"
        )
    return page


class PageQuery(QueryModel):
    """Which page of a list; subclass it to add filters."""

    limit: int = Field(default=20, ge=1, le=MAX_LIMIT)
    page: Annotated[int, AfterValidator(_within_reach)] = Field(default=1, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_CURSOR,
        description="The `pagination.nextCursor` of the page before, in place of `page`",
    )

    @field_validator("cursor")
    @classmethod
    def _instead_of_page(cls, cursor: str | None, info: ValidationInfo) -> str | None:
        if cursor is not None and info.data.get("page", 1) != 1:
            raise ValueError("stands in place of `page`, not beside it")
        return cursor

    @property
    def span(self) -> Span:
        return Span(self.page, self.limit, self.cursor)


def _text(value: Any) -> Any:
    if isinstance(value, str | datetime):
        return value
    raise ValueError("must be an RFC 3339 date and time, such as 2026-11-20T09:30:00Z")


def _kept(moment: datetime) -> datetime:
    if not is_kept(moment):
        raise ValueError(f"must lie between {EARLIEST:%Y-%m-%dT%XZ} and {LATEST:%Y-%m-%dT%XZ}")
    return moment


# A point in time with its offset; never a bare number, which pydantic would take for seconds.
Moment = Annotated[AwareDatetime, BeforeValidator(_text), AfterValidator(_kept)]


class SyncQuery(PageQuery):
    """Of a list that can be followed: all of it, or what has changed since a moment."""

    updated_since: Moment | None = Field(
        default=None,
        description="Only what was made, changed or deleted at that moment or later, in that order;"
        " what is deleted has a `deletedAt`. Pages go on by `cursor`, and the next sync by"
        " `pagination.nextUpdatedSince`",
    )

    @field_validator("updated_since")
    @classmethod
    def _by_cursor(cls, since: datetime | None, info: ValidationInfo) -> datetime | None:
        if since is not None and info.data.get("page", 1) != 1:
            raise ValueError("goes on by `cursor`, not by `page`")
        return since

    @property
    def span(self) -> Span:
        return Span(self.page, self.limit, self.cursor, self.updated_since)


# Of something in a list of what has changed.
DeletedAt = Annotated[
    datetime | None,
    Field(
        description="In a list by `updatedSince`: when it was deleted",
        exclude_if=lambda at: at is None,
    ),
]


MAX_ITEM_CODE = 64


def composed(code: str) -> str:
    """A code in the one form that it has inside (Unicode's NFC): keyboards, scanners and files
    write a letter as one code point or as two. Only for codes that are short already: the time that
    it takes may grow with the square of the length. Raises ValueError where that makes it too
    long."""
    found = unicodedata.normalize("NFC", code)
    if len(found) > MAX_ITEM_CODE:
        raise ValueError(f"must have at most {MAX_ITEM_CODE} characters in Unicode's NFC")
    return found


# An SKU or a barcode as it is looked for.
ItemCode = Annotated[str, Field(min_length=1, max_length=MAX_ITEM_CODE), AfterValidator(composed)]


def exact_number(value: Any) -> Any:
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return value
    raise ValueError("must be a number")


# An amount of money in major units: a JSON number, exact on the way in (see `gateway.json_body`)
# and on the way out (a double holds the 13 digits of the largest amount). `core.money.to_minor`
# turns it into minor units and knows how many decimals its currency has.
Amount = Annotated[
    Decimal,
    BeforeValidator(exact_number),
    Field(ge=0, le=MAX_AMOUNT_MINOR),
    PlainSerializer(float, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_AMOUNT_MINOR}),
]

# An amount in an answer. It is not held to the bounds of what callers may send: a sum of amounts
# that were each within them may not be, and what is stored must stay readable.
Sum = Annotated[
    Decimal,
    PlainSerializer(float, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number"}),
]
