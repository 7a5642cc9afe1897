"""Worst requests: of each kind that is looked at before a limit, one of any size.

Each maker takes a size in bytes and returns a request about as long, made so that a careless check
of it takes the square of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Attack(NamedTuple):
    method: str = "GET"
    path: str = "/api/trial/open"
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


Maker = Callable[[int], Attack]


def _json(body: bytes) -> Attack:
    headers = ((b"content-type", b"application/json"),)
    return Attack("POST", "/api/trial/management", b"", headers, body)


def _filled(unit: bytes, size: int) -> bytes:
    return unit * (size // len(unit))


def _list(item: bytes, size: int) -> bytes:
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


def _names(size: int, *, value: bytes = b"0") -> bytes:
    return b"{" + b",".join(b'"%07x":%s' % (i, value) for i in range(size // 12)) + b"}"


def _twice(size: int) -> bytes:
    objects = [b'{"a":0,' + _names(2_400)[1:-1] + b"}"] * (size // 2_500)
    return b"[" + b",".join([*objects, b'{"a":0,"b":0,"a":1}']) + b"]"


def _long_name(size: int) -> bytes:
    return b'{"' + b"n" * (size // 2) + b'":' + _list(rb'"\u0000"', size // 2) + b"}"


def _long_path(size: int) -> bytes:
    name = b"n" * (size // 130)
    leaves = _list(rb'"\u0000"', size // 2)
    return (b'{"' + name + b'":') * 60 + leaves + b"}" * 60


BODIES: dict[str, Maker] = {
    "one name twice": lambda size: _json(_twice(size)),
    "one name twice, at the end": lambda size: _json(
        _names(size)[:-1] + b',"%07x":1}' % (size // 12 - 1)
    ),
    "a long name above bad leaves": lambda size: _json(_long_name(size)),
    "long names above bad leaves": lambda size: _json(_long_path(size)),
    "a long name, unknown": lambda size: _json(b'{"' + b"n" * size + b'":0}'),
    "many names, unknown": lambda size: _json(_names(size)),
    "many names, unknown, in lists": lambda size: _json(
        b'{"lines":' + _list(_names(2_400), size) + b"}"
    ),
    "bad lines": lambda size: _json(b'{"lines":' + _list(b"{}", size) + b"}"),
    "lists in lists": lambda size: _json(b"[" * size),
    "lists in lists, closed": lambda size: _json(b"[" * (size // 2) + b"]" * (size // 2)),
    "towers of lists": lambda size: _json(_list(b"[" * 60 + b"]" * 60, size)),
    "objects in objects": lambda size: _json(_filled(b'{"a":', size)),
    "empty lists": lambda size: _json(_list(b"[]", size)),
    "empty objects": lambda size: _json(_list(b"{}", size)),
    "small numbers": lambda size: _json(_list(b"1", size)),
    "fractions": lambda size: _json(_list(b"0.1", size)),
    "numbers beyond use": lambda size: _json(_list(b"1e999", size)),
    "one long fraction": lambda size: _json(b"0." + b"1" * size),
    "one long number": lambda size: _json(b"9" * size),
    "long numbers": lambda size: _json(_list(b"9" * 4_000, size)),
    "a long exponent": lambda size: _json(b"1e" + b"9" * size),
    "half pairs": lambda size: _json(_list(rb'"\ud800"', size)),
    "NUL characters": lambda size: _json(b'"' + _filled(rb"\u0000", size) + b'"'),
    "an open string": lambda size: _json(b'"' + _filled(rb"\"", size)),
    "blanks": lambda size: _json(b" " * size + b"x"),
    "line breaks": lambda size: _json(b"\n" * size + b"x"),
    "no UTF-8": lambda size: _json(b'"' + b"\xc3" * size),
    "a long note": lambda size: _json(b'{"note":"' + b"n" * size + b'"}'),
    "a form": lambda size: Attack(
        "POST",
        "/api/trial/management",
        b"",
        ((b"content-type", b"multipart/form-data; boundary=-"),),
        _filled(b"--\r\n", size),
    ),
    "CSV": lambda size: Attack(
        "POST",
        "/api/trial/management",
        b"",
        ((b"content-type", b"text/csv"),),
        _filled(b'"",', size),
    ),
}


def _header(name: bytes, value: bytes) -> Attack:
    return Attack(headers=((name, value),))


def _typed(value: bytes) -> Attack:
    return Attack("POST", "/api/trial/basket", b"", ((b"content-type", value),), b"{}")


HEADS: dict[str, Maker] = {
    "cookies": lambda size: _header(b"cookie", b"a=1; " * (size // 5)),
    "a quoted cookie": lambda size: _header(b"cookie", b'a="' + b"\\" * size + b'"'),
    "a token of dots": lambda size: _header(b"authorization", b"Bearer " + b"." * size),
    "a token of blanks": lambda size: _header(b"authorization", b"Bearer" + b" " * size + b"x"),
    "a long token": lambda size: _header(b"authorization", b"Bearer " + b"e" * size),
    "a long key": lambda size: _header(b"authorization", b"Bearer hfk_" + b"e" * size),
    "an idempotency key": lambda size: _header(b"idempotency-key", b"k" * size),
    "a request id": lambda size: _header(b"x-request-id", b"k" * size),
    "addresses": lambda size: _header(b"x-forwarded-for", b"1.1.1.1," * (size // 8)),
    "a long address": lambda size: _header(b"x-forwarded-for", b":" * size),
    "lines of addresses": lambda size: Attack(
        headers=((b"x-forwarded-for", b"1.1.1.1"),) * (size // 24)
    ),
    "a header many times": lambda size: Attack(headers=((b"content-length", b"1"),) * (size // 16)),
    "a media type": lambda size: _typed(b'application/json;a="' + b";" * size),
    "a media type, many parts": lambda size: _typed(b"application/json" + b";a=b" * (size // 4)),
    "a form's boundary": lambda size: _typed(b'multipart/form-data; boundary="' + b"\\" * size),
    "parameters": lambda size: Attack(query=b"a=1&" * (size // 4)),
    "parameters, each another": lambda size: Attack(
        path="/api/trial/page", query=b"&".join(b"%x=1" % i for i in range(size // 6))
    ),
    "parameters, all the same": lambda size: Attack(
        path="/api/trial/page", query=b"page=1&" * (size // 7)
    ),
    "ampersands": lambda size: Attack(path="/api/trial/page", query=b"&" * size),
    "escapes": lambda size: Attack(path="/api/trial/page", query=b"page=" + b"%41" * (size // 3)),
    "escaped NULs": lambda size: Attack(query=b"a=" + b"%00" * (size // 3)),
    "a long page": lambda size: Attack(path="/api/trial/page", query=b"page=" + b"9" * size),
    "a path of slashes": lambda size: Attack(path="/" * size),
    "a long path": lambda size: Attack(path="/api/trial/" + "a/" * (size // 2)),
    "a long number in a path": lambda size: Attack(
        "POST", "/api/trial/keyed/" + "9" * size, b"", ((b"content-type", b"application/json"),)
    ),
}
