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
STAFF = MANAGEMENT | {Role.STAFF, Role.CASHIER, Role.SERVICE}


@dataclass(frozen=True, slots=True)
class Principal:
    """`id` is a user's, a service key's, or `ip:<address>` for nobody in particular.

    `tenant_id` is the business that the caller acts for; None for shoppers and platform admins.
    `rate_limit_per_second` is a service key's own limit; None is what every caller of its kind has.
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
