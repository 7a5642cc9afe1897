"""Where something is: one object outside, five columns inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import StringConstraints

from gateway.changes import Merge, Partial
from gateway.schemas import CamelModel

Street = Annotated[str, StringConstraints(max_length=255)]
Place = Annotated[str, StringConstraints(max_length=100)]
PostalCode = Annotated[str, StringConstraints(max_length=20)]


class Address(CamelModel):
    street: Street | None = None
    city: Place | None = None
    state: Place | None = None
    zip: PostalCode | None = None
    country: Place | None = None


class AddressPart(Partial, Address):
    """What to change of an address; null clears a line."""


ADDRESS_COLUMNS = tuple(Address.model_fields)


def as_columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a body as columns hold them: an address is five of them, and a document is JSON."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name == "address":
            values |= _address(value)
        elif isinstance(value, CamelModel):
            values[name] = value.model_dump(mode="json", by_alias=True)
        else:
            values[name] = value
    return values


def _address(value: Address | Merge | None) -> dict[str, Any]:
    if isinstance(value, Merge):
        return dict(value)
    return {column: getattr(value, column, None) for column in ADDRESS_COLUMNS}
