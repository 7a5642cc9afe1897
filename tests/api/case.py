"""What a row of the table of routes says: who may, and one good request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from core.principal import MANAGEMENT, Role
from tests.api.shop import Shop

# Method and path; what stands in braces is called "id" here, whatever its name is there.
RouteId = tuple[str, str]

EVERYONE = frozenset(Role)
SIGNED_IN = EVERYONE - {Role.ANONYMOUS}
PEOPLE = SIGNED_IN - {Role.SERVICE}
WRITERS = MANAGEMENT | {Role.SERVICE}


@dataclass
class Call:
    """A request: the id that stands in the path's braces, its body, and its query."""

    id: str = ""
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A route as this suite knows it.

    `may` are the roles that it is for. `make(shop)` is a good request about a new thing of the
    shop's; with None about a thing that never was. `own` says that the thing is a business's own:
    to the others it does not exist. `across` are roles that may act on any business's thing.
    `nullable` are fields that may be null here, and elsewhere not. `lean` makes a request that a
    lean route takes itself.
    """

    may: frozenset[Role]
    make: Callable[[Shop | None], Awaitable[Call]]
    about_a_thing: bool = True
    own: bool = True
    across: frozenset[Role] = frozenset()
    statuses: frozenset[int] = frozenset({200, 201})
    nullable: frozenset[str] = frozenset()
    lean: Callable[[Shop | None], Awaitable[Call]] | None = None


def plain(**call: Any) -> Callable[[Shop | None], Awaitable[Call]]:
    async def make(_: Shop | None) -> Call:
        return Call(**call)

    return make


def for_everyone(make: Callable[[Shop | None], Awaitable[Call]] | None = None, **rest: Any) -> Case:
    """A route for everyone, about nothing in particular."""
    return Case(EVERYONE, make or plain(), about_a_thing=False, own=False, **rest)
