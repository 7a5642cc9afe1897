"""A caller of the API over HTTP, that knows what to do when the outcome is unknown.

A reset, a time-out or a 5xx says nothing about what became of a mutation. The caller repeats it
with the same Idempotency-Key, so that it happens once, until its patience is at an end.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any
from uuid import uuid4

import httpx2
import msgspec

PATIENCE_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
_UNKNOWN_OUTCOME = (
    httpx2.NetworkError,
    httpx2.TimeoutException,
    httpx2.RemoteProtocolError,
    # What anyio lets through when a socket is closed right after it was opened: on asyncio's
    # own loop the one, on uvloop the other.
    OSError,
    AttributeError,
)
_encoder = msgspec.json.Encoder(decimal_format="number")


class ApiError(Exception):
    """The API said no. `errors` pairs a field with what is wrong with it."""

    def __init__(self, reply: Reply) -> None:
        problem = reply.body if isinstance(reply.body, dict) else {}
        self.status = reply.status
        self.code = str(problem.get("code", "unknown"))
        self.detail = str(problem.get("detail", "The answer was not a problem document."))
        self.errors = [(str(e["field"]), str(e["message"])) for e in problem.get("errors", [])]
        fields = "".join(f"\n  {field}: {message}" for field, message in self.errors)
        super().__init__(f"{self.status} {self.code}: {self.detail}{fields}")


class Unreachable(Exception):
    """No answer within the caller's patience. A mutation may or may not have happened: repeat it
    later with the same key."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `body` is parsed JSON with decimals as `Decimal`, or None if it was not JSON;
    `content` is what came."""

    status: int
    body: Any
    headers: httpx2.Headers
    content: bytes = b""

    @property
    def ok(self) -> bool:
        return self.status < 400

    @property
    def settles(self) -> bool:
        """Whether it tells what became of the request. An error that is no JSON comes from what
        stands before the API: while that starts, it answers 404 to everything."""
        refused = self.status < 500 and self.status != 429 and isinstance(self.body, dict)
        return self.ok or refused


def open_http(connections: int = 32, *, tls: ssl.SSLContext | None = None) -> httpx2.AsyncClient:
    """A pool of connections that many callers may share. A wait for one of them is bounded by
    the callers' patience, not here. Many pools may share one `tls`, which is slow to make."""
    return httpx2.AsyncClient(
        verify=True if tls is None else tls,
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        timeout=httpx2.Timeout(connect=3.0, read=15.0, write=10.0, pool=None),
        headers={"User-Agent": "holdfast-cli"},
        # This machine is asked directly, whatever proxy the environment names.
        mounts=dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]")),
    )


class Client:
    """One caller, signed in or not. `repeats` counts the requests that it sent again.

    Many tasks may use one caller at once. `http` is shared and stays open if given, else the
    caller's own. Use it as a context manager.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        http: httpx2.AsyncClient | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.url = url.rstrip("/")
        self.repeats = 0
        self._token = token
        self._refresh_token: str | None = None
        self._credentials: tuple[str, str] | None = None
        self._renewing = asyncio.Lock()
        self._patience_seconds = patience_seconds
        self._http = http or open_http()
        self._owns_http = http is None

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._owns_http:
            await self._http.aclose()

    async def login(self, email: str, password: str) -> dict[str, Any]:
        """Signs in and stays so: tokens are renewed when they expire. Returns the user."""
        self._credentials = (email, password)
        reply = await self._login()
        if not reply.ok:
            raise ApiError(reply)
        user: dict[str, Any] = reply.body["user"]
        return user

    async def get(self, path: str, **params: Any) -> Any:
        """The body of a successful GET; raises ApiError or Unreachable."""
        return self._checked(await self.request("GET", path, params=params))

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """The body of a successful POST; raises ApiError or Unreachable."""
        return self._checked(await self.request("POST", path, body=body, key=key))

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Reply:
        """One request, sent again with the same key while its outcome is unknown or the server
        asks for patience (429). A mutation without `key` gets one of its own.

        Returns the last answer, whatever its status; raises Unreachable if there was none.
        """
        headers = {} if method == "GET" else {"Idempotency-Key": key or str(uuid4())}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = self._http.build_request(
            method,
            self.url + path,
            params={name: v for name, v in (params or {}).items() if v is not None},
            headers=headers | ({} if body is None else {"Content-Type": "application/json"}),
            content=None if body is None else _encoder.encode(body),
        )
        used = self._token
        reply = await self._until_known(request)
        if reply.status == 401 and used and await self._renew(used):
            request.headers["Authorization"] = f"Bearer {self._token}"
            reply = await self._until_known(request)
        return reply

    async def _until_known(self, request: httpx2.Request) -> Reply:
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + self._patience_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            reply, error = await self._attempt(request, give_up_at - clock())
            if reply and reply.settles:
                return reply
            # Jitter, so that callers who were refused together do not come back together.
            wait = max(pause * random.uniform(0.5, 1.5), _retry_after_seconds(reply))  # noqa: S311
            if clock() + wait >= give_up_at:
                if reply:
                    return reply
                raise Unreachable(f"no answer from {self.url}: {error!r}") from error
            await asyncio.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self.repeats += 1

    async def _attempt(
        self, request: httpx2.Request, seconds: float
    ) -> tuple[Reply | None, Exception | None]:
        try:
            async with asyncio.timeout(max(seconds, 0.1)):
                response = await self._http.send(request)
        except (*_UNKNOWN_OUTCOME, TimeoutError) as error:
            return None, error
        try:
            body = json.loads(response.content, parse_float=Decimal)
        except ValueError:
            body = None
        return Reply(response.status_code, body, response.headers, response.content), None

    async def _renew(self, expired: str) -> bool:
        """A new access token, by refresh or else by signing in again. One task does it for all:
        a refresh token is good for one use."""
        async with self._renewing:
            if self._token != expired:
                return True
            if self._refresh_token:
                body = {"refreshToken": self._refresh_token}
                self._refresh_token = None
                if self._signed_in(await self._send_secret("/api/auth/refresh", body)):
                    return True
            return self._credentials is not None and (await self._login()).ok

    async def _login(self) -> Reply:
        email, password = self._credentials or ("", "")
        reply = await self._send_secret("/api/auth/login", {"email": email, "password": password})
        self._signed_in(reply)
        return reply

    async def _send_secret(self, path: str, body: dict[str, str]) -> Reply:
        """Sign-in and refresh: no key, since their answers are never recorded."""
        content = _encoder.encode(body)
        headers = {"Content-Type": "application/json"}
        request = self._http.build_request(
            "POST", self.url + path, headers=headers, content=content
        )
        return await self._until_known(request)

    def _signed_in(self, reply: Reply) -> bool:
        if reply.ok:
            self._token = reply.body["token"]
            self._refresh_token = reply.body.get("refreshToken")
        return reply.ok

    @staticmethod
    def _checked(reply: Reply) -> Any:
        if not reply.ok:
            raise ApiError(reply)
        return reply.body


def _retry_after_seconds(reply: Reply | None) -> float:
    value = reply.headers.get("Retry-After", "") if reply else ""
    return float(value) if value.isdigit() else 0.0
