"""All that ends what a member may, and with it their API keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from sqlalchemy import text

from deployments.auth import service as accounts
from store.kit.engine import Scope
from tests.api.auth.members_kit import call
from tests.api.harness import Served
from tests.api.people import PASSWORD, Session, new_address, session_of

Ending = Callable[[Served, Session, Session], Awaitable[None]]


async def role_raised(served: Served, owner: Session, who: Session) -> None:
    await _as_role(served, owner, who, "manager")


async def role_lowered(served: Served, owner: Session, who: Session) -> None:
    await _as_role(served, owner, who, "cashier")


async def _as_role(served: Served, owner: Session, who: Session, role: str) -> None:
    path = f"/members/{who.user['id']}"
    assert (await call(served, owner, "PUT", path, {"role": role})).status_code == 200


async def removed(served: Served, owner: Session, who: Session) -> None:
    path = f"/members/{who.user['id']}"
    assert (await call(served, owner, "DELETE", path)).status_code == 200


async def left(served: Served, owner: Session, who: Session) -> None:
    path = f"/memberships/{owner.user['tenantId']}"
    assert (await call(served, who, "DELETE", path)).status_code == 200


async def business_closed(served: Served, owner: Session, who: Session) -> None:
    assert (await served.http.delete("/api/business", headers=owner.auth)).status_code == 200


async def disabled(served: Served, owner: Session, who: Session) -> None:
    await _by_admin(served, "POST", f"{who.user['id']}/disable")


async def platform_role_changed(served: Served, owner: Session, who: Session) -> None:
    await _by_admin(served, "PUT", f"{who.user['id']}/role", {"role": "admin"})


async def _by_admin(served: Served, method: str, path: str, body: Any = None) -> None:
    email, shared = new_address(), served.resources
    await accounts.create_admin(shared.db, shared.edge, name="Root", email=email, password=PASSWORD)
    admin = await session_of(served.http, email)
    answer = await served.http.request(method, f"/api/users/{path}", json=body, headers=admin.auth)
    assert answer.status_code == 200, answer.text


async def password_reset(served: Served, owner: Session, who: Session) -> None:
    forgot = {"email": who.user["email"]}
    assert (await call(served, None, "POST", "/password/forgot", forgot)).status_code == 202
    person = UUID(who.user["id"])
    async with served.resources.db.transaction(Scope(user_id=person)) as tx:
        query = text("SELECT id, nonce FROM password_resets WHERE user_id = :user")
        asked = (await tx.execute(query, {"user": person})).one()
    token = served.resources.edge.links.token("password-reset", person, asked.id, asked.nonce)
    body = {"token": token, "password": "another horse"}
    answer = await call(served, None, "POST", "/password/reset", body)
    assert answer.status_code == 200, answer.text


ENDINGS: list[Ending] = [
    role_raised,
    role_lowered,
    removed,
    left,
    business_closed,
    disabled,
    platform_role_changed,
    password_reset,
]


def named(ending: Ending) -> str:
    return ending.__name__
