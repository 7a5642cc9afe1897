"""What a capability declares. Application, replicas, closing of a business, tests and checks loop
over these declarations; none of them names a capability."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from deployments.kit.consumers import Consumer
from deployments.kit.desk import AfterRefusal, Before
from deployments.kit.resources import Resources, Task
from gateway.capability import Routed
from gateway.entrance import LeanHandler
from store.business.locations import LocationUses
from store.kit.engine import Transaction


@dataclass(frozen=True, slots=True)
class LeanRoute:
    """A route that is answered without FastAPI where a request is plain: `path` is relative, as in
    the router that holds its twin, and `make` gives a replica's handler; it takes the capability's
    name, too."""

    method: str
    path: str
    make: Callable[[Resources, str], LeanHandler]


@dataclass(frozen=True, slots=True)
class Closing:
    """The end of a business, in the transaction that marks it as deleted. `ended` takes the ids of
    sessions and keys, whose tokens are revoked once it has committed."""

    tx: Transaction
    tenant_id: UUID
    at: datetime
    ended: list[UUID] = field(default_factory=list)


OnClose = Callable[[Closing], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Capability(Routed):
    """`tasks` run in each replica that serves the capability, and so do `consumers`, which take
    turns; `lean` are its hottest routes. `location_uses` say what keeps a location from being
    deleted, and `on_close` ends what a business has here, when the business ends. `before` and
    `refused` are done around the decisions of owners, whichever capabilities a process serves
    (`deployments.kit.desk.Hooks`). `exempt` gives the reason for each thing that the check of the
    pattern finds and that is right here, by the name that the check gives it."""

    tasks: tuple[Task, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    lean: tuple[LeanRoute, ...] = ()
    location_uses: tuple[LocationUses, ...] = ()
    on_close: tuple[OnClose, ...] = ()
    before: Mapping[type, Before] = field(default_factory=dict)
    refused: Mapping[str, AfterRefusal] = field(default_factory=dict)
    exempt: Mapping[str, str] = field(default_factory=dict)

    def lean_routes(self) -> frozenset[tuple[str, str]]:
        """Method and full path of each."""
        return frozenset((route.method, self.prefix + route.path) for route in self.lean)


def lean_handlers(
    served: Iterable[Capability], shared: Resources
) -> dict[tuple[str, str], LeanHandler]:
    """What `gateway.app.create_app` takes as `lean`."""
    return {
        (route.method, capability.prefix + route.path): route.make(shared, capability.name)
        for capability in served
        for route in capability.lean
    }
