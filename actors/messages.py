"""What all commands and replies of a family have in common: each is a tagged struct, and together
they are one union, so a name is given only once in a family."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import msgspec


class Command(msgspec.Struct, frozen=True, tag=True):
    """Base of what a shard is asked to do."""


class Reply(msgspec.Struct, frozen=True, tag=True):
    """Base of what a shard answers."""


class Shortage(NamedTuple):
    """`available` is what could be had of it, backorder included."""

    product_id: UUID
    requested: int
    available: int


class Refused(Reply, frozen=True):
    """The rule says no. `code` is for machines; each module lists its own. `facts` are what the
    caller should know besides, named as in the API."""

    code: str
    shortages: tuple[Shortage, ...] = ()
    facts: dict[str, int | str] = {}
