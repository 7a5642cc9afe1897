"""Requests and answers of `/api/business`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints

from deployments.auth.schemas import Email, Name
from deployments.business.hours import OpeningHours
from gateway.schemas import CamelModel, Moment, PageQuery
from store.business.locations import Location
from store.business.profile import Business
from store.business.taxes import TaxClass, TaxRate
from store.kit.audit import Entry, Filters

MAX_RATE_PPM = 10_000_000
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _NO_ZONES


def _zone(value: str) -> str:
    if value not in _zones():
        raise ValueError("is not a time zone of the IANA database, such as Europe/Lisbon")
    return value


TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_zone)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$", max_length=3)]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()./-]{2,30}$", max_length=32)]
Url = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[^\s/?#]+([/?#]\S*)?$")]
ReceiptText = Annotated[str, StringConstraints(max_length=1000)]
ShortName = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"\S"), AfterValidator(str.strip)
]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
_VERSION = "If given, the change is made only if this is still the version"


def _line(most: int) -> Any:
    return Field(default=None, max_length=most)


class Address(CamelModel):
    street: str | None = _line(255)
    city: str | None = _line(100)
    state: str | None = _line(100)
    zip: str | None = _line(20)
    country: str | None = _line(100)


_ADDRESS = tuple(Address.model_fields)


def address_of(row: Any) -> Address:
    return Address(**{name: getattr(row, name) for name in _ADDRESS})


class Changes(CamelModel):
    """What to replace; what is left out stays."""

    version: Version | None = Field(default=None, description=_VERSION)

    def values(self) -> dict[str, Any]:
        """What was given, as the columns hold it."""
        return columns({name: getattr(self, name) for name in self.model_fields_set})


def columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a body as columns: an address is five of them, and a document is JSON."""
    values = {name: value for name, value in given.items() if name != "version"}
    if "address" in values:
        address: Address = values.pop("address")
        values |= {name: getattr(address, name) for name in _ADDRESS}
    for name in ("settings", "opening_hours"):
        if name in values:
            values[name] = values[name].model_dump(mode="json", by_alias=True)
    return values


class Settings(CamelModel):
    """What a business prefers, where its staff has not said otherwise."""

    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = (
        Field(default="en", max_length=35, description="BCP 47, such as `en` or `pt-BR`")
    )
    week_starts_on: Literal["monday", "sunday", "saturday"] = "monday"


class BusinessChanges(Changes):
    """What to replace; what is left out stays. The currency is fixed once there has been a
    product; that of the main location follows it."""

    name: Name = Field(default_factory=str)
    legal_name: Name | None = None
    address: Address = Field(default_factory=Address)
    email: Email | None = None
    phone: Phone | None = None
    website: Url | None = None
    currency: Currency = Field(default_factory=str)
    prices_include_tax: bool = Field(default_factory=bool)
    settings: Settings = Field(default_factory=Settings)


class BusinessOut(CamelModel):
    id: UUID
    name: str
    legal_name: str | None
    address: Address
    email: str | None
    phone: str | None
    website: str | None
    currency: str
    plan: str
    prices_include_tax: bool
    settings: Settings
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, business: Business) -> BusinessOut:
        shown = _shown(cls, business, "address", "settings")
        settings = Settings.model_validate(business.settings)
        return cls(address=address_of(business), settings=settings, **shown)


class _LocationFields(CamelModel):
    address: Address = Field(default_factory=Address)
    phone: Phone | None = None
    receipt_header: ReceiptText = Field(default_factory=str)
    receipt_footer: ReceiptText = Field(default_factory=str)
    opening_hours: OpeningHours = Field(default_factory=OpeningHours)


class NewLocation(_LocationFields):
    name: Name
    time_zone: TimeZone = Field(default="UTC", description="Of the IANA database")
    currency: Currency | None = Field(
        default=None, description="ISO 4217; the business's own by default"
    )

    def values(self) -> dict[str, Any]:
        return columns({name: getattr(self, name) for name in type(self).model_fields})


class LocationChanges(_LocationFields, Changes):
    """What to replace; what is left out stays. The currency is fixed once there has been a
    product."""

    name: Name = Field(default_factory=str)
    time_zone: TimeZone = Field(default_factory=str)
    currency: Currency = Field(default_factory=str)


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

    @classmethod
    def of(cls, location: Location, tenant_id: UUID) -> LocationOut:
        return cls(
            is_main=location.id == tenant_id,
            address=address_of(location),
            opening_hours=OpeningHours.model_validate(location.opening_hours),
            **_shown(cls, location, "is_main", "address", "opening_hours"),
        )


class NewTaxClass(CamelModel):
    name: ShortName
    is_default: bool = Field(default=False, description="Of goods that name no class")

    def values(self) -> dict[str, Any]:
        return {"name": self.name, "is_default": self.is_default}


class TaxClassChanges(Changes):
    name: ShortName = Field(default_factory=str)
    is_default: bool = Field(default_factory=bool)


class TaxClassOut(CamelModel):
    id: UUID
    name: str
    is_default: bool
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, one: TaxClass, _: UUID) -> TaxClassOut:
        return cls(**_shown(cls, one))


RatePpm = Annotated[
    int,
    Field(ge=0, le=MAX_RATE_PPM, description="Parts per million: 20 % is 200000"),
]


class NewTaxRate(CamelModel):
    """What goods of a class are taxed with from a moment on, until a later rate holds."""

    tax_class_id: UUID
    location_id: UUID | None = Field(
        default=None, description="Only there; a location's own rate beats one for everywhere"
    )
    name: ShortName = Field(description="As receipts show it, such as `VAT 20%`")
    rate_ppm: RatePpm
    valid_from: Moment | None = Field(default=None, description="Now, by default")

    def values(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in given.items() if value is not None}


class TaxRateChanges(Changes):
    """A mistake put right. For what changes by law add a rate, so that the past stays."""

    name: ShortName = Field(default_factory=str)
    rate_ppm: RatePpm = Field(default_factory=int)
    valid_from: Moment = Field(default_factory=lambda: datetime.now(UTC))


class TaxRateOut(CamelModel):
    id: UUID
    tax_class_id: UUID
    location_id: UUID | None
    name: str
    rate_ppm: int
    valid_from: datetime
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, one: TaxRate, _: UUID) -> TaxRateOut:
        return cls(**_shown(cls, one))


class TaxRateQuery(PageQuery):
    tax_class_id: UUID | None = None


class AuditQuery(PageQuery):
    """Which lines; `since` counts in, `until` does not."""

    actor_id: UUID | None = Field(default=None, description="Who made the change")
    subject_id: UUID | None = Field(default=None, description="What was changed")
    action: str | None = Field(
        default=None, min_length=1, max_length=64, description="Such as `member.role_changed`"
    )
    since: Moment | None = None
    until: Moment | None = None

    def filters(self) -> Filters:
        return Filters(self.actor_id, self.subject_id, self.action, self.since, self.until)


class AuditOut(CamelModel):
    """`changes` is field to [before, after]; `keyId` the service key or API key that the actor
    used, if one was used."""

    id: UUID
    at: datetime
    actor_id: UUID
    actor_role: str
    key_id: UUID | None
    action: str
    subject_id: UUID
    changes: dict[str, Any]

    @classmethod
    def of(cls, entry: Entry) -> AuditOut:
        return cls(
            id=entry.id,
            at=entry.at,
            actor_id=entry.actor_id,
            actor_role=entry.actor_role,
            key_id=entry.key_id,
            action=entry.action,
            subject_id=entry.subject,
            changes=dict(entry.changes),
        )


def _shown(out: type[CamelModel], row: Any, *others: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in out.model_fields if name not in others}
