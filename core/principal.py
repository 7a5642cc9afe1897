"""Who is calling, as the gateway found out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """What a caller may be. `vendor` is how the marketplace calls the owner of a business."""

    ADMIN = "admin"
    VENDOR = "vendor"
    OWNER = "owner"
    MANAGER = "manager"
    STAFF = "staff"
    CASHIER = "cashier"
    SERVICE = "service"
    CUSTOMER = "customer"
    ANONYMOUS = "anonymous"


OWNERS = frozenset({Role.OWNER, Role.VENDOR})
MANAGEMENT = OWNERS | {Role.MANAGER}
MEMBERS = MANAGEMENT | {Role.STAFF, Role.CASHIER}
STAFF = MEMBERS | {Role.SERVICE}


@dataclass(frozen=True, slots=True)
class Principal:
    """`id` is a user's, a service key's, or `ip:<address>` for nobody in particular.

    `tenant_id` is the business that the caller acts for; None for shoppers and platform admins.
    `session_id` names the session or key that proves it. A caller with a key, a service key or a
    person's API key, has `scopes` and may do nothing outside of them; a session has none.
    `rate_limit_per_second` is a key's own limit; None is what every caller of its kind has.
    """

    id: str
    role: Role
    tenant_id: UUID | None = None
    session_id: str | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    rate_limit_per_second: int | None = None

    @property
    def is_anonymous(self) -> bool:
        return self.role is Role.ANONYMOUS

    @property
    def is_key(self) -> bool:
        """Whether a service key or an API key speaks, and not somebody who has signed in."""
        return self.role is Role.SERVICE or bool(self.scopes)

    @property
    def key_id(self) -> str | None:
        """The key that speaks; None for a session."""
        return self.session_id if self.is_key else None


def role_in_business(member_role: str, registered_as: str) -> Role:
    """In which role a member acts: the marketplace calls the owner of a business a vendor."""
    is_vendor = member_role == Role.OWNER and registered_as == Role.VENDOR
    return Role.VENDOR if is_vendor else Role(member_role)
