"""What all commands and replies of a family have in common: each is a tagged struct, and together
they are one union, so a name is given only once in a family."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import msgspec


class Command(msgspec.Struct, frozen=True, tag=True):
    """Base of what a shard is asked to do."""


class TurnDown(Command, frozen=True):
    """Whoever prepared a command refuses the request, and `problem` says why, in words of its own:
    unless the command was answered before, or is being decided. Then that is its answer."""

    problem: str


class Reply(msgspec.Struct, frozen=True, tag=True):
    """Base of what a shard answers."""


class Shortage(NamedTuple):
    """`available` is what could be had of it, backorder included."""

    product_id: UUID
    requested: int
    available: int


# The code by which a `TurnDown` is refused; its problem is a fact by that name.
TURNED_DOWN = "turned_down"


class Refused(Reply, frozen=True):
    """The rule says no. `code` is for machines; each module lists its own. `facts` are what the
    caller should know besides, named as in the API."""

    code: str
    shortages: tuple[Shortage, ...] = ()
    facts: dict[str, int | str] = {}
