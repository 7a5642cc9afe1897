"""Requests of a lean route, good and bad, as bytes."""

from __future__ import annotations

import random

from tests.api.gateway.lean_kit import (
    ORIGIN,
)

PATH = "/api/inventory/reserve"

# Each request has some of these headers in the place of its own, or beside them.
HEADERS: dict[str, list[str]] = {
    "Content-Type": [
        "application/json; charset=utf-8",
        "application/JSON",
        "application/problem+json",
        "text/plain",
        "",
    ],
    "Content-Encoding": ["identity", "gzip"],
    "Authorization": [
        "",
        "Bearer",
        "Bearer x.y.z",
        "Basic eDp5",
        "bearer  nobody",
        "Bearer %customer",
    ],
    "Idempotency-Key": ["a", "x" * 255, "x" * 256, "a b", "caf\xe9", "", "\x7f"],
    "X-Request-Id": ["abc-1", "x" * 129, "a b", "\xff", ""],
    "Origin": [ORIGIN, "https://elsewhere.example", "null", ""],
    "X-Forwarded-For": ["198.51.100.7", "2001:db8::1", "nonsense"],
    "Cookie": ["a=b", "x" * 3000],
    "Connection": ["close", "keep-alive", "Upgrade"],
    "Accept": ["*/*", "text/html"],
    "X-Unknown": ["\xe4\xf6", "x" * 4000],
    "X-Session-Id": ["1"],
    "X-Request-Timeout-Seconds": ["0.000001"],
}

BODIES = [
    '{"productId":"%p","quantity":1}',
    '{"productId":"%p","quantity":1}',
    '{"productId":"%p","quantity":2,"ttlSeconds":60,"reference":"order 7"}',
    '{"productId":"%p","quantity":99}',
    '{"productId":"%p","quantity":0}',
    '{"productId":"%p","quantity":1.5}',
    '{"lines":[{"productId":"%p","quantity":1}]}',
    '{"productId":"00000000-0000-7000-8000-000000000000","quantity":1}',
    '{"productId":"%p"',
    '{"productId":"%p","quantity":1}' + " " * 20_000,
    "\ufeff{}",
]

LINES = [f"POST {PATH} HTTP/1.1"] * 12 + [
    f"POST {PATH} HTTP/1.0",
    f"POST {PATH}? HTTP/1.1",
    f"POST {PATH}?x=1 HTTP/1.1",
    f"POST {PATH}/ HTTP/1.1",
    "POST /api/inventory/reserv%65 HTTP/1.1",
    f"POST http://elsewhere.example{PATH} HTTP/1.1",
    f"PUT {PATH} HTTP/1.1",
    f"post {PATH} HTTP/1.1",
]

# What no two readers may understand differently. `%b` is the body, `%n` its length.
SMUGGLED = [
    "Content-Length: %n\r\nContent-Length: %n\r\n\r\n%b",
    "Content-Length: %n\r\nContent-Length: 0\r\n\r\n%b",
    "Content-Length: %n, %n\r\n\r\n%b",
    "Content-Length: +%n\r\n\r\n%b",
    "Content-Length: 0x1f\r\n\r\n%b",
    "Content-Length: %n\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: %n\r\n\r\n%b",
    "Transfer-Encoding: identity\r\nContent-Length: %n\r\n\r\n%b",
    "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "Content-Length: %n\r\nX-Folded: a\r\n b\r\n\r\n%b",
    "Content-Length: %n\r\nX-Bad\x00: a\r\n\r\n%b",
    "Content-Length: %n\r\nX-Bad: a\x00b\r\n\r\n%b",
    "Content-Length: %n\r\nX-Bare: a\nb: c\r\n\r\n%b",
    "Content-Length: %n\r\nno colon\r\n\r\n%b",
    "Content-Length : %n\r\n\r\n%b",
    "Content-Length: %n\r\nAuthorization: Bearer other\r\n\r\n%b",
    "Content-Length: %n\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n%b",
    "Content-Length: %n\r\nContent-Type: text/plain\r\n\r\n%b",
    "Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%b\r\n0\r\nAuthorization: no\r\n\r\n",
    "Expect: 200-ok\r\nContent-Length: %n\r\n\r\n%b",
    "Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: %n\r\n\r\n%b",
]


def generated(chance: random.Random) -> str:
    headers = {
        "Host": "a",
        "Authorization": "Bearer %owner",
        "Content-Type": "application/json",
        "Content-Length": "%n",
    }
    for name in chance.sample(list(HEADERS), chance.choice([0, 1, 1, 2, 3])):
        headers[name] = chance.choice(HEADERS[name])
    lines = [chance.choice(LINES)]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    body = chance.choice(BODIES).encode().decode("latin-1")
    return "\r\n".join(lines) + "\r\n\r\n" + body
