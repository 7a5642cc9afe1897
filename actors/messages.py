"""What all commands and replies of a family have in common: each is a tagged struct, and together
they are one union, so a name is given only once in a family."""

from __future__ import annotations

from functools import cache
from types import UnionType
from typing import Any, Generic, NamedTuple, Never, TypeVar, get_args
from uuid import UUID

import msgspec

# What a command is answered, unless it is refused: a type of reply, or a union of some.
R_co = TypeVar("R_co", bound="Reply", covariant=True)


class Command(msgspec.Struct, Generic[R_co], frozen=True, tag=True):
    """Base of what a shard is asked to do; `class Reserve(Command[Hold])` is answered a Hold."""


class TurnDown(Command[Never], frozen=True):
    """The replica that prepared a command refuses the request, and `problem` says why, in words of
    its own: unless the command was answered before, or is being decided. Then that is its answer.
    """

    problem: str


class Reply(msgspec.Struct, frozen=True, tag=True):
    """Base of what a shard answers."""


@cache
def replies_of(command: type[Command[Any]]) -> tuple[type[Reply], ...]:
    """The types of reply that a type of command says it is answered with."""
    (base,) = command.__orig_bases__  # type: ignore[attr-defined]
    (said,) = get_args(base)
    if said is Never:
        return ()
    return get_args(said) if isinstance(said, UnionType) else (said,)


class Shortage(NamedTuple):
    """`available` is what could be had of it, backorder included; both in steps of 10^-decimals."""

    product_id: UUID
    requested: int
    available: int
    decimals: int = 0


# How facts end that are steps of 10^-`quantityDecimals`; without it they are pieces.
STEPS = "Steps"

# The code by which a `TurnDown` is refused; its problem is a fact by that name.
TURNED_DOWN = "turned_down"


class Refused(Reply, frozen=True):
    """The rule says no. `code` is for machines; each module lists its own. `facts` are what the
    caller should know besides, named as in the API."""

    code: str
    shortages: tuple[Shortage, ...] = ()
    facts: dict[str, int | str] = {}
