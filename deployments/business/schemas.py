"""Requests and answers of `/api/business`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from core.money import from_minor
from deployments.business.address import Address, AddressPart, as_columns
from gateway.changes import Changes, Partial
from gateway.fields import Currency, Email, Name, Phone, Url, absent
from gateway.schemas import Amount, CamelModel, Moment, PageQuery, Sum
from store.business.profile import Business
from store.kit.audit import Entry, Filters

Language = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35),
    Field(description="BCP 47, such as `en` or `pt-BR`"),
]
WeekStart = Literal["monday", "sunday", "saturday"]

_CASH_ROUNDING = (
    "What is due in cash is rounded to multiples of this, in shifts that are opened from now on,"
    " such as 0.05; 0 for not at all, null for what is usual in the currency of each location"
)


class Settings(CamelModel):
    """What a business prefers, where its staff has not said otherwise."""

    language: Language = "en"
    week_starts_on: WeekStart = "monday"


class SettingsPart(Partial):
    """What to change of the settings."""

    language: Language = absent()
    week_starts_on: WeekStart = absent()


class BusinessChanges(Changes):
    """What to change; what is left out stays. The currency is fixed once there has been a
    product; that of the main location follows it."""

    name: Name = absent()
    legal_name: Name | None = None
    address: AddressPart | None = None
    email: Email | None = None
    phone: Phone | None = None
    website: Url | None = None
    currency: Currency = absent()
    prices_include_tax: bool = absent()
    cash_rounding: Amount | None = Field(default=None, description=_CASH_ROUNDING)
    settings: SettingsPart = absent()

    def values(self) -> dict[str, Any]:
        return as_columns(super().values())


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
    cash_rounding: Sum | None = Field(description=_CASH_ROUNDING)
    settings: Settings
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, business: Business) -> BusinessOut:
        step_minor = business.cash_rounding_minor
        return cls.shown(
            business,
            address=Address.shown(business),
            cash_rounding=None if step_minor is None else from_minor(step_minor, business.currency),
        )


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
    created_at: datetime
    actor_id: UUID
    actor_role: str
    key_id: UUID | None
    action: str
    subject_id: UUID
    changes: dict[str, Any]

    @classmethod
    def of(cls, entry: Entry) -> AuditOut:
        return cls.shown(entry, created_at=entry.at, subject_id=entry.subject)
