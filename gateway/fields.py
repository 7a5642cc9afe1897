"""Types for fields of bodies and queries, each with its bounds: one definition for each sort."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from core import percents
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


def _named(value: str) -> str:
    """A name in the one form that is stored (Unicode's NFC): otherwise two that look the same could
    both be unique. A few letters grow by it, so that the name may get a little longer."""
    return unicodedata.normalize("NFC", value.strip())


# Trimmed after the length was checked, so that the published bounds are exactly the real ones.
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=r"\S"),
    AfterValidator(_named),
]
ShortName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=r"\S"),
    AfterValidator(_named),
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
