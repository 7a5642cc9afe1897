"""Types for fields of bodies and queries, each with its bounds: one definition for each sort."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from core import percents
from core.words import hidden_in
from gateway.schemas import CamelModel, exact_number

MAX_EMAIL_LENGTH = 254
MAX_TAX_PERCENT = 1000
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})


def absent(description: str | None = None) -> Any:
    """The default of a field that may be left out, and for which null is no value: the document
    shows no default, and `model_fields_set` tells whether it was given. Without a `description` the
    field has that of its type."""
    if description is None:
        return Field(default_factory=lambda: None)
    return Field(default_factory=lambda: None, description=description)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _NO_ZONES


def _zone(value: str) -> str:
    if value not in _zones():
        raise ValueError("is not a time zone of the IANA database, such as Europe/Lisbon")
    return value


def _email(value: str) -> str:
    """Lower case throughout: Ann@ and ann@ are one address, and one address is one account."""
    try:
        # `.test` is reserved for trials, and trials sign in too.
        checked = validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(f"is not an e-mail address: {error}") from error
    address = checked.normalized.lower()
    if len(address) > MAX_EMAIL_LENGTH:
        raise ValueError(f"must have at most {MAX_EMAIL_LENGTH} characters")
    return address


def visible(text: str, *, joiners: bool = False) -> str:
    """Raises ValueError if a text has a character that nobody sees (`core.words.hidden_in`)."""
    hidden = hidden_in(text, joiners=joiners)
    if hidden is not None:
        called = unicodedata.name(hidden, "a control character")
        raise ValueError(f"must not have U+{ord(hidden):04X} ({called}), which nobody sees")
    return text


def not_blank(value: Any) -> Any:
    """Raises ValueError for nothing but blanks."""
    if isinstance(value, str) and value and not value.strip():
        raise ValueError("must not be blank")
    return value


def no_blank_ends(value: Any) -> Any:
    """Raises ValueError for a blank at the beginning or the end."""
    if isinstance(value, str) and value != value.strip():
        raise ValueError("must not begin or end with a blank")
    return value


def name_of(most: int) -> Callable[[str], str]:
    """Puts a name into the one form that is stored: without blanks at its ends, in Unicode's NFC,
    since two that look the same could both be unique otherwise. That makes a few letters longer.
    Raises ValueError for more than `most` characters then, or one that nobody sees."""

    def named(value: str) -> str:
        name = unicodedata.normalize("NFC", value.strip())
        if len(name) > most:
            raise ValueError(f"must have at most {most} characters in Unicode's NFC")
        return visible(name, joiners=True)

    return named


# Trimmed after the length was checked, so that the published bounds are exactly the real ones.
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=r"\S"),
    BeforeValidator(not_blank),
    AfterValidator(name_of(255)),
]
ShortName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=r"\S"),
    BeforeValidator(not_blank),
    AfterValidator(name_of(100)),
]
Email = Annotated[
    str,
    Field(max_length=MAX_EMAIL_LENGTH),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": MAX_EMAIL_LENGTH}),
]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()./-]{2,30}$", max_length=32)]
Url = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[^\s/?#]+([/?#]\S*)?$")]
# As exact as the parts per million that it is inside (see `core.percents`).
TaxPercent = Annotated[
    Decimal,
    BeforeValidator(exact_number),
    Field(ge=0, le=MAX_TAX_PERCENT, decimal_places=percents.MAX_DECIMALS),
    WithJsonSchema(
        {
            "type": "number",
            "minimum": 0,
            "maximum": MAX_TAX_PERCENT,
            "description": f"19 is 19 %; at most {percents.MAX_DECIMALS} decimals",
        }
    ),
]
TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_zone)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
LocationId = Annotated[
    UUID | None, Field(description="Where; the business's main location if it is left out")
]


class NewRecord(CamelModel):
    """The fields of something to create."""

    def values(self) -> dict[str, Any]:
        """The fields that were given, as columns hold them."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in given.items() if value is not None}
