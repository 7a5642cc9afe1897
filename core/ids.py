"""Identifiers: UUIDv7, so that a new row lands at the end of its index."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

__all__ = ["UUID", "uuid7"]
