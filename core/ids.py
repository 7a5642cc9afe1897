"""Identifiers: UUIDv7, so that a new row lands at the end of its index."""

from __future__ import annotations

from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

__all__ = ["UUID", "id_of", "text_of", "uuid7"]


def text_of(number: UUID) -> str:
    """As `str`, in a fifth of the time."""
    text: str = msgspec.to_builtins(number)
    return text


def id_of(packed: bytes) -> UUID:
    """As `UUID(bytes=packed)`, in a quarter of the time. `packed` has 16 bytes."""
    return msgspec.convert(packed, UUID)
