"""Who may use the routes of `/api/auth`, beyond what all capabilities have."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from core.principal import MANAGEMENT, MEMBERS, Principal, Role
from gateway.access import PUBLIC_ACCESS, require

PEOPLE = frozenset(Role) - {Role.ANONYMOUS, Role.SERVICE}

# Anyone may try to come in; how often is the throttle's to say (`gateway.throttle`).
AnyoneTries = Annotated[Principal, Depends(PUBLIC_ACCESS)]
# Who has access, and by what, is changed by people who have signed in: by no key. Neither is what
# is a person's own a key's business, for it acts in one business.
Person = Annotated[Principal, Depends(require(PEOPLE, tenant=False, signed_in=True))]
SignedInManager = Annotated[Principal, Depends(require(MANAGEMENT, signed_in=True))]
SignedInMember = Annotated[Principal, Depends(require(MEMBERS, signed_in=True))]
# Who it is, a key may ask whatever it is for.
Caller = Annotated[Principal, Depends(require(PEOPLE | {Role.SERVICE}, tenant=False, scoped=False))]
