"""What the routes of `/api/auth` depend on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from core.principal import MANAGEMENT, MEMBERS, Principal, Role
from core.request import RequestKey
from gateway.access import PUBLIC_ACCESS, public_read, require
from gateway.idempotency import personal_key, request_key
from gateway.resources import Resources

PEOPLE = frozenset(Role) - {Role.ANONYMOUS, Role.SERVICE}


async def _resources(request: Request) -> Resources:
    found: Resources = request.app.state.resources
    return found


In = Annotated[Resources, Depends(_resources)]
Key = Annotated[RequestKey, Depends(request_key)]
PersonalKey = Annotated[RequestKey, Depends(personal_key)]
Anyone = Annotated[Principal, Depends(PUBLIC_ACCESS)]
Reader = Annotated[Principal, Depends(public_read(1))]
# Who has access, and by what, is changed by people who have signed in: by no key.
Person = Annotated[Principal, Depends(require(PEOPLE, tenant=False, signed_in=True))]
# Who it is, a key may ask whatever it is for.
Caller = Annotated[Principal, Depends(require(PEOPLE | {Role.SERVICE}, tenant=False, scoped=False))]
Manager = Annotated[Principal, Depends(require(MANAGEMENT, signed_in=True))]
Member = Annotated[Principal, Depends(require(MEMBERS, signed_in=True))]
