"""Where something is: one object outside, five columns inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from gateway.schemas import CamelModel


class Address(CamelModel):
    street: str | None = Field(default=None, max_length=255)
    city: str | None = Field(default=None, max_length=100)
    state: str | None = Field(default=None, max_length=100)
    zip: str | None = Field(default=None, max_length=20)
    country: str | None = Field(default=None, max_length=100)


ADDRESS_COLUMNS = tuple(Address.model_fields)


def as_columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a body as columns hold them: an address is five of them, and a document is JSON."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Address):
            values |= {column: getattr(value, column) for column in ADDRESS_COLUMNS}
        elif isinstance(value, CamelModel):
            values[name] = value.model_dump(mode="json", by_alias=True)
        else:
            values[name] = value
    return values
