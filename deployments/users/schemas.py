"""Requests and answers of `/api/users`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from deployments.business import address as business
from gateway.changes import Partial
from gateway.fields import Phone, absent
from gateway.schemas import CamelModel, PageQuery
from store.people.profiles import Address, Profile

Theme = Literal["light", "dark", "system"]
AccountRole = Literal["customer", "vendor", "admin"]


class PreferencesOut(CamelModel):
    newsletter: bool
    theme: Theme


class PreferencesPart(Partial):
    """What to change of the preferences."""

    newsletter: bool = absent()
    theme: Theme = absent()


class ProfileChanges(Partial):
    """What to change; what is left out stays."""

    phone: Phone | None = None
    preferences: PreferencesPart = absent()

    def values(self) -> dict[str, Any]:
        """What was given, as the columns hold it: preferences are two of them."""
        values = super().values()
        preferences: dict[str, Any] = values.pop("preferences", {})
        return values | preferences


class NewAddress(business.Address):
    """A default address takes the place of the one before. The first one is the default."""

    is_default: bool = absent()

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class AddressChanges(business.AddressPart):
    """What to change; what is left out stays. A default address takes the place of the one
    before."""

    is_default: bool = absent()


class AddressOut(CamelModel):
    id: UUID
    street: str | None
    city: str | None
    state: str | None
    zip: str | None
    country: str | None
    is_default: bool


class ProfileOut(CamelModel):
    user_id: UUID
    phone: str | None
    addresses: list[AddressOut]
    preferences: PreferencesOut

    @classmethod
    def of(cls, user_id: UUID, profile: Profile, addresses: list[Address]) -> ProfileOut:
        return cls(
            user_id=user_id,
            phone=profile.phone,
            addresses=[AddressOut.shown(address) for address in addresses],
            preferences=PreferencesOut.shown(profile),
        )


class UserQuery(PageQuery):
    q: str | None = Field(
        default=None, min_length=1, max_length=100, description="Part of a name or address"
    )
    role: AccountRole | None = None
    disabled: bool | None = None


class AccountOut(CamelModel):
    """`role` is what the person registered as, not a role in a business."""

    id: UUID
    name: str
    email: str
    role: AccountRole
    disabled_at: datetime | None
    created_at: datetime


class AccountChanges(Partial):
    role: AccountRole = absent()
