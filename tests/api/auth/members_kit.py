"""What the tests of a business' people share: inviting, joining, and asking as somebody."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import text

from deployments.auth.people.mails import invitation_mail
from deployments.business.capability import capability as business
from store.kit.engine import Scope
from tests.api.harness import BASE, Served
from tests.api.people import PASSWORD, Session, new_address

ALL = (*BASE, business)
ROLES = ("manager", "staff", "cashier")


async def call(
    served: Served, who: Session | None, method: str, path: str, body: Any = None, key: str = ""
) -> httpx2.Response:
    headers = (who.auth if who else {}) | ({"Idempotency-Key": key} if key else {})
    return await served.http.request(method, f"/api/auth{path}", json=body, headers=headers)


async def invite(
    served: Served, who: Session, email: str, role: str = "staff", key: str = ""
) -> httpx2.Response:
    return await call(served, who, "POST", "/invitations", {"email": email, "role": role}, key)


async def invited(served: Served, who: Session, email: str, role: str = "staff") -> dict[str, Any]:
    """The answer, and beside it what the mail holds, which goes to `email`."""
    answer = await invite(served, who, email, role)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    link = await mailed(served, who, data["id"])
    return data | {"link": link, "token": link.partition("#")[2]}


async def mailed(served: Served, who: Session, invitation_id: str) -> str:
    """The link that is mailed with an invitation of somebody's business."""
    resources, tenant_id = served.resources, UUID(who.user["tenantId"])
    links = resources.edge.links
    mail = await invitation_mail(resources.db, links, tenant_id, UUID(invitation_id))
    assert mail is not None
    return mail.link


async def accept(
    served: Served, token: str, password: str = PASSWORD, **rest: Any
) -> httpx2.Response:
    body = {"token": token, "password": password, **rest}
    return await call(served, None, "POST", "/invitations/accept", body)


async def member(served: Served, owner: Session, role: str) -> Session:
    """Somebody new who works for the owner's business, signed in."""
    email = new_address()
    made = await invited(served, owner, email, "manager" if role == "owner" else role)
    assert (await accept(served, made["token"])).status_code == 200
    joined = await signed_in(served, email)
    if role == "owner":
        path = f"/members/{joined.user['id']}"
        assert (await call(served, owner, "PUT", path, {"role": "owner"})).status_code == 200
        joined = await signed_in(served, email)
    return joined


async def signed_in(served: Served, email: str, business: str | None = None) -> Session:
    body = {"email": email, "password": PASSWORD} | ({"tenantId": business} if business else {})
    answer = await call(served, None, "POST", "/login", body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return Session(found["token"], found["refreshToken"], found["user"])


async def names(served: Served, who: Session) -> dict[str, str]:
    listed = await call(served, who, "GET", "/members?limit=100")
    return {member["email"]: member["role"] for member in listed.json()["data"]}


async def rows(served: Served, who: Session, query: str) -> list[Any]:
    """As the business sees them."""
    async with served.resources.db.transaction(Scope(UUID(who.user["tenantId"]))) as tx:
        return [tuple(row) for row in await tx.execute(text(query))]
