"""People as a client meets them: they sign up, sign in, and carry tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

from core.ids import uuid7
from tests.waiting import eventually

PASSWORD = "correct horse"


def new_address() -> str:
    return f"{uuid7().hex}@example.test"


@dataclass
class Session:
    token: str
    refresh_token: str
    user: dict[str, Any]

    @property
    def auth(self) -> dict[str, str]:
        return bearer(self.token)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def register(http: httpx2.AsyncClient, **changes: Any) -> httpx2.Response:
    body = {"name": "Ann", "email": new_address(), "password": PASSWORD} | changes
    return await http.post("/api/auth/register", json=body)


async def login(http: httpx2.AsyncClient, email: str, password: str = PASSWORD) -> httpx2.Response:
    return await http.post("/api/auth/login", json={"email": email, "password": password})


async def session(http: httpx2.AsyncClient, **changes: Any) -> Session:
    """A new account, signed in."""
    email = changes.setdefault("email", new_address())
    registered = await register(http, **changes)
    assert registered.status_code == 201, registered.text
    return await session_of(http, email)


async def session_of(http: httpx2.AsyncClient, email: str) -> Session:
    answer = await login(http, email)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return Session(body["token"], body["refreshToken"], body["user"])


async def refresh(http: httpx2.AsyncClient, refresh_token: str) -> httpx2.Response:
    return await http.post("/api/auth/refresh", json={"refreshToken": refresh_token})


async def me(http: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await http.get("/api/auth/me", headers=bearer(token))


async def turned_away(http: httpx2.AsyncClient, token: str) -> None:
    """Returns once a replica has heard that the token is good no more."""

    async def refused() -> bool:
        return (await me(http, token)).status_code == 401

    await eventually(refused)
