"""Requests and answers of `/api/users`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from gateway.fields import Phone
from gateway.schemas import CamelModel, PageQuery
from store.people.profiles import Address, Listed, Profile

Theme = Literal["light", "dark", "system"]
AccountRole = Literal["customer", "vendor", "admin"]


def _line(most: int) -> Any:
    return Field(default=None, max_length=most)


class Preferences(CamelModel):
    newsletter: bool
    theme: Theme


class PreferenceChanges(CamelModel):
    newsletter: bool = Field(default_factory=bool)
    theme: Theme = Field(default_factory=lambda: "light")


class ProfileChanges(CamelModel):
    """What to replace; what is left out stays."""

    phone: Phone | None = None
    preferences: PreferenceChanges = Field(default_factory=PreferenceChanges)

    def values(self) -> dict[str, Any]:
        """What was given, as the columns hold it."""
        values: dict[str, Any] = {}
        if "phone" in self.model_fields_set:
            values["phone"] = self.phone
        if "preferences" in self.model_fields_set:
            given = self.preferences
            values |= {name: getattr(given, name) for name in given.model_fields_set}
        return values


class NewAddress(CamelModel):
    """A default address takes the place of the one before. The first one is the default."""

    street: str | None = _line(255)
    city: str | None = _line(100)
    state: str | None = _line(100)
    zip: str | None = _line(20)
    country: str | None = _line(100)
    is_default: bool = Field(default_factory=bool)

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class AddressOut(CamelModel):
    id: UUID
    street: str | None
    city: str | None
    state: str | None
    zip: str | None
    country: str | None
    is_default: bool

    @classmethod
    def of(cls, address: Address) -> AddressOut:
        return cls(**{name: getattr(address, name) for name in cls.model_fields})


class ProfileOut(CamelModel):
    user_id: UUID
    phone: str | None
    addresses: list[AddressOut]
    preferences: Preferences

    @classmethod
    def of(cls, user_id: UUID, profile: Profile, addresses: list[Address]) -> ProfileOut:
        return cls(
            user_id=user_id,
            phone=profile.phone,
            addresses=[AddressOut.of(address) for address in addresses],
            preferences=Preferences(
                newsletter=profile.newsletter,
                theme=profile.theme,
            ),
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

    @classmethod
    def of(cls, listed: Listed) -> AccountOut:
        return cls(**{name: getattr(listed, name) for name in cls.model_fields})


class AccountChanges(CamelModel):
    role: AccountRole
