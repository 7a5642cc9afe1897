"""Where a business is: its locations, for all who work for it to read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from core.errors import Conflict, InUse
from core.money import check_in_use
from core.principal import MANAGEMENT, STAFF
from deployments.business.address import (
    ADDRESS_COLUMNS,
    Address,
    AddressPart,
    as_columns,
)
from deployments.business.currencies import check_currency
from deployments.business.events import LOCATION
from deployments.business.hours import OpeningHours, OpeningHoursPart
from deployments.business.places import PLACES
from deployments.kit.record_routes import About, record_routes
from deployments.kit.records import Kind, Removing, Writing
from gateway.access import require
from gateway.changes import Changes, Emptied
from gateway.fields import Currency, Name, NewRecord, Phone, TimeZone, absent
from gateway.schemas import CamelModel, DeletedAt
from store.business import locations
from store.business.locations import MAX_LOCATIONS, Location
from store.business.profile import business_currency

ReceiptText = Annotated[str, StringConstraints(max_length=1000)]


class MainLocationStays(Conflict):
    code, title = "main_location", "Main location"
    default_detail = "The main location cannot be deleted; it is meant where none is named."


class NewLocation(NewRecord):
    name: Name
    address: Address = absent()
    phone: Phone | None = None
    receipt_header: ReceiptText = absent()
    receipt_footer: ReceiptText = absent()
    opening_hours: OpeningHours = absent()
    time_zone: TimeZone = Field(default="UTC", description="Of the IANA database")
    currency: Currency | None = Field(
        default=None, description="ISO 4217; the business's own by default"
    )

    def values(self) -> dict[str, Any]:
        return as_columns(super().values())


class LocationChanges(Changes):
    """What to change; what is left out stays. The currency is fixed once there has been a
    product."""

    name: Name = absent()
    address: AddressPart | None = None
    phone: Phone | None = None
    receipt_header: Annotated[ReceiptText | None, Emptied("")] = None
    receipt_footer: Annotated[ReceiptText | None, Emptied("")] = None
    opening_hours: Annotated[OpeningHoursPart | None, Emptied({})] = None
    time_zone: TimeZone = absent()
    currency: Currency = absent()

    def values(self) -> dict[str, Any]:
        return as_columns(super().values())


class LocationOut(CamelModel):
    """`isMain`: meant wherever no location is named; its id is the business's."""

    id: UUID
    name: str
    is_main: bool
    address: Address
    phone: str | None
    time_zone: str
    currency: str
    receipt_header: str
    receipt_footer: str
    opening_hours: OpeningHours
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: DeletedAt = None

    @classmethod
    def of(cls, location: Location, tenant_id: UUID) -> LocationOut:
        return cls.shown(
            location, is_main=location.id == tenant_id, address=Address.shown(location)
        )


async def _check(writing: Writing[Location]) -> None:
    tx, values, before = writing.tx, writing.values, writing.before
    currency = values.get("currency")
    if before is None and currency is None:
        values["currency"] = await business_currency(tx, writing.tenant_id)
    elif before is None:
        check_in_use(values["currency"])
    elif currency not in (None, before.currency):
        await check_currency(tx, writing.tenant_id, values["currency"])


async def _check_removal(removing: Removing[Location]) -> None:
    location_id = removing.record.id
    if location_id == removing.tenant_id:
        raise MainLocationStays
    declared = [uses for each in removing.shared.capabilities for uses in each.location_uses]
    if uses := await locations.uses_of(removing.tx, location_id, declared):
        raise InUse(extra={"uses": uses})


LOCATIONS = Kind(
    noun="location",
    path="/locations",
    events=LOCATION,
    rows=locations.rows,
    out=LocationOut.of,
    most=MAX_LOCATIONS,
    audited=(
        "name",
        *ADDRESS_COLUMNS,
        "phone",
        "time_zone",
        "currency",
        "receipt_header",
        "receipt_footer",
        "opening_hours",
    ),
    check=_check,
    check_removal=_check_removal,
    removal_refusals=(MainLocationStays, InUse),
    afterwards=lambda shared, tenant_id: PLACES.of(shared).forget(tenant_id),
)
router = record_routes(
    LOCATIONS,
    read=require(STAFF),
    write=require(MANAGEMENT),
    new=NewLocation,
    changes=LocationChanges,
    out=LocationOut,
    about=About(
        list="Locations that are not deleted, the oldest first.",
        create="A further place where the business sells and keeps stock.",
        change="Changes what the body gives; what it leaves out stays. With `version`, only if the"
        " location still has it.",
        delete="Nothing new happens there, within half a minute everywhere; its history stays. The"
        " main location cannot be deleted.",
    ),
)
