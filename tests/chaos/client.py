"""An HTTP client that is as impatient and as stubborn as a promise asks for.

A 5xx, a reset, a time-out or an answer that is not ours tells neither yes nor no: the request is
repeated with the same key until there is an answer.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

ATTEMPT_SECONDS = 10.0
MAX_HEAD_BYTES = 64 << 10


class Unknown(Exception):
    """What came tells neither yes nor no."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_done(self) -> bool:
        return self.status < 300

    @property
    def data(self) -> Any:
        return json.loads(self.body)["data"]

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])

    def is_final(self) -> bool:
        """Whether it is one of ours and says yes or no."""
        kind = self.headers.get("content-type", "")
        if self.is_done:
            return kind == "application/json"
        return kind == "application/problem+json" and self.status < 500 and self.status != 429


class Client:
    """One caller: one connection at a time, opened again when it was lost."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> Any:
        """The data of a read. Raises Unknown."""
        answer = await self.attempt("GET", path, None, None)
        if not answer.is_done:
            raise Unknown(answer.body)
        return answer.data

    async def attempt(
        self, method: str, path: str, key: str | None, body: Any, seconds: float = ATTEMPT_SECONDS
    ) -> Answer:
        """One try. Raises Unknown."""
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await self._connected()
                writer.write(self._request(method, path, key, body))
                await writer.drain()
                answer = await _answer(reader)
        except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.hang_up()
            raise Unknown(repr(error)) from error
        if answer.headers.get("connection", "").lower() == "close":
            self.hang_up()
        if not answer.is_final():
            raise Unknown(f"{answer.status} {answer.body[:200]!r}")
        return answer

    async def abandon(self, path: str, key: str, body: Any, after_seconds: float) -> None:
        """Sends a request and goes away without waiting for its answer."""
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                _, writer = await self._connected()
                writer.write(self._request("POST", path, key, body))
                await writer.drain()
                await asyncio.sleep(after_seconds)
        except (OSError, TimeoutError):
            pass
        self.hang_up()

    def hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1", self._port, limit=MAX_HEAD_BYTES
            )
        return self._streams

    def _request(self, method: str, path: str, key: str | None, body: Any) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: Bearer {self._token}",
            f"Content-Length: {len(content)}",
        ]
        if content:
            lines.append("Content-Type: application/json")
        if key is not None:
            lines.append(f"Idempotency-Key: {key}")
        return "\r\n".join([*lines, "", ""]).encode() + content


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split()[1])
    pairs = [line.partition(":") for line in head[1:] if line]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif headers.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    else:
        headers["connection"] = "close"
        body = await reader.read()
    return Answer(status, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readline() or b"0", 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(parts)
