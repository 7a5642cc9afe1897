"""Bodies are read strictly, and numbers exactly."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadRequest, ValidationFailed
from gateway.json_body import MAX_DEPTH, MAX_NAMES, MAX_VALUES, loads


def test_fractions_are_exact() -> None:
    assert loads(b'{"price": 0.1, "n": 3}') == {"price": Decimal("0.1"), "n": 3}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (rb'{"a": {"b": ["x", "n\u0000l"]}}', "a.b[1]"),
        (rb'{"a": "\ud800"}', "a"),
        (rb'{"a\u0000": 1}', "body"),
        (rb'{"lines": [{"price": 1e400}]}', "lines[0].price"),
        (b'{"price": 1E-999999999}', "price"),
        (b'{"price": 0.' + b"1" * 100 + b"}", "price"),
        (b'{"a": 1, "a": 2}', "a"),
    ],
)
def test_a_bad_value_is_named(body: bytes, field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        loads(body)
    assert refused.value.errors[0].field == field


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 01}',
        b'{"a": "\x00"}',
        b"\xff\xfe{\x00}\x00",
        b'"\xed\xa0\x80"',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        loads(body)


def nested(depth: int) -> bytes:
    return b'{"a":[' * (depth // 2) + b"[" * (depth % 2) + b"]" * (depth % 2) + b"]}" * (depth // 2)


def many(count: int) -> bytes:
    """As many values: a list, lists in it, numbers in those."""
    inner = b"[" + b",".join([b"1"] * 99) + b"]"
    rest = (count - 1) % 100
    return b"[" + b",".join([inner] * ((count - 1) // 100) + [b"1"] * rest) + b"]"


def named(count: int) -> bytes:
    return b"{" + b",".join(b'"%d":0' % i for i in range(count)) + b"}"


@pytest.mark.parametrize(
    ("body", "too_much"),
    [
        (nested(MAX_DEPTH), nested(MAX_DEPTH + 1)),
        (many(MAX_VALUES), many(MAX_VALUES + 1)),
        (named(MAX_NAMES), named(MAX_NAMES + 1)),
    ],
)
def test_a_body_is_bounded_in_every_direction(body: bytes, too_much: bytes) -> None:
    loads(body)
    with pytest.raises(BadRequest):
        loads(too_much)


def test_what_is_text_is_no_structure() -> None:
    text = "[{,:" * MAX_VALUES
    assert loads(f'["{text}"]'.encode()) == [text]


def test_an_escaped_pair_and_an_escaped_backslash_are_fine() -> None:
    assert loads(rb'{"a": "\ud83d\ude00", "b": "\\u0000"}') == {"a": "😀", "b": "\\u0000"}


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_as_bad(body: bytes) -> None:
    with suppress(BadRequest, ValidationFailed):
        loads(body)
