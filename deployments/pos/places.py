"""Where a basket is sold: at its register, unless it says so itself."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from actors.messages import Refused
from actors.till.messages import GetRegister
from core.errors import NotFound
from core.principal import Principal
from deployments.kit import desk
from deployments.kit.desk import Asked
from deployments.kit.resources import Part, Resources
from gateway.access import tenant_of

MAX_REMEMBERED = 20_000


class RegisterPlaces:
    """Locations of registers, the least recently used forgotten first. A register moves seldom; its
    owner refuses what was prepared for another location, and then it is forgotten here."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[UUID, UUID], UUID] = OrderedDict()

    async def of(self, shared: Resources, principal: Principal, register_id: UUID) -> UUID:
        """That of the business itself, which is its main location's, where there is no such
        register: of that its owner has the last word."""
        key = (tenant_of(principal), register_id)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        try:
            found = await desk.ask(shared, principal, GetRegister(register_id))
        except NotFound:
            return key[0]
        self._known[key] = found.register.location_id
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return found.register.location_id

    def forget(self, tenant_id: UUID, register_id: UUID) -> None:
        self._known.pop((tenant_id, register_id), None)


REGISTER_PLACES = Part(lambda _: RegisterPlaces())


async def place_of(
    shared: Resources, principal: Principal, location_id: UUID | None, register_id: UUID | None
) -> UUID:
    """The location that is named, else the register's, else the main one."""
    if location_id is not None:
        return location_id
    if register_id is None:
        return tenant_of(principal)
    return await REGISTER_PLACES.of(shared).of(shared, principal, register_id)


async def forget_place(asked: Asked, _: Refused) -> None:
    """The register is elsewhere by now."""
    command = getattr(asked.command, "sale", asked.command)
    register_id = getattr(command, "register_id", None)
    if register_id is not None:
        REGISTER_PLACES.of(asked.shared).forget(asked.tenant_id, register_id)
