"""Which locations a business has: asked with every sale and movement, so remembered."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple
from uuid import UUID

from core.clock import Clock
from core.errors import NotFound
from core.principal import Principal
from deployments.kit.resources import Part
from gateway.access import tenant_of
from store.business import locations
from store.kit.engine import Database, Scope

MAX_REMEMBERED = 20_000
# For so long another replica may go on taking a location that was deleted here.
REMEMBERED_SECONDS = 30.0


class _Known(NamedTuple):
    live: frozenset[UUID]
    until: float


class Places:
    """A tenant's live locations, least recently used tenant forgotten first."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._known: OrderedDict[UUID, _Known] = OrderedDict()

    async def check(self, tenant_id: UUID, location_id: UUID | None) -> UUID:
        """The location that is meant: the main one, whose id is the tenant's, where none is
        named. Raises NotFound for one that is not the tenant's, or is deleted."""
        if location_id is None or location_id == tenant_id:
            return tenant_id
        known = self._known.get(tenant_id)
        now = self._clock.boot_seconds()
        if known is None or known.until <= now or location_id not in known.live:
            known = await self._learn(tenant_id, now)
        if location_id not in known.live:
            raise NotFound(f"There is no location {location_id} here.")
        return location_id

    def forget(self, tenant_id: UUID) -> None:
        """After a change, so that this process knows of it at once."""
        self._known.pop(tenant_id, None)

    async def _learn(self, tenant_id: UUID, now: float) -> _Known:
        async with self._db.transaction(Scope(tenant_id=tenant_id)) as tx:
            known = _Known(await locations.live_ids(tx), now + REMEMBERED_SECONDS)
        self._known[tenant_id] = known
        self._known.move_to_end(tenant_id)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return known


PLACES = Part(lambda shared: Places(shared.db, shared.clock))


def location_of(principal: Principal, location_id: UUID | None) -> UUID:
    """The location that is meant: the main one, whose id is the business's, where none is."""
    return location_id or tenant_of(principal)
