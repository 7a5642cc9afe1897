"""The plain reader and writer of sales mean what pydantic's do, or leave it to them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from actors.till import model as m
from actors.till.messages import SaleMade
from core.errors import HoldfastError
from core.money import exponent
from deployments.pos.sales.plain_sale import plain_out_of, plain_sale
from deployments.pos.sales.schemas import NewSale, SaleOut
from deployments.pos.sales.shapes import sale_made
from gateway import json_body
from gateway.schemas import Envelope

_ANSWER = TypeAdapter(Envelope[SaleOut])
_BODY = TypeAdapter(NewSale)
ID = "01a22182-e58d-7310-8b44-5410d88e1396"

ids = st.uuids()
amounts = st.integers(0, 10**12)
rates = st.integers(0, 10_000_000)
texts = st.text(max_size=20)


@st.composite
def sales(draw: st.DrawFn) -> SaleMade:
    lines = tuple(
        m.SaleLine(
            *(draw(ids), draw(ids), draw(texts), draw(texts), draw(st.integers(1, 100_000))),
            *(draw(amounts), draw(amounts), draw(rates), draw(amounts), draw(amounts)),
            returned=draw(st.integers(0, 9)),
            decimals=(decimals := draw(st.integers(0, 3))),
            unit=draw(st.sampled_from(["piece", "box"])) if decimals == 0 else "kg",
        )
        for _ in range(draw(st.integers(0, 3)))
    )
    payments = tuple(
        m.Payment(draw(st.sampled_from(m.Method)), draw(amounts), draw(st.none() | texts))
        for _ in range(draw(st.integers(0, 2)))
    )
    currency = draw(st.sampled_from(["EUR", "JPY", "KWD"]))
    assert exponent(currency) in (0, 2, 3)
    sale = m.Sale(
        *(draw(ids), draw(ids), draw(ids), draw(st.integers(1, 10**9)), currency),
        *(draw(st.sampled_from(m.SaleStatus)), draw(amounts), lines, payments),
    )
    sold = m.Sold(
        *(sale, draw(st.none() | ids), draw(st.none() | texts), draw(st.booleans())),
        *(draw(st.integers(10**12, 10**13 - 1)), draw(amounts), None),
    )
    return SaleMade(draw(ids), sold, draw(texts), draw(st.integers(0, 4_000_000_000_000)))


@given(sales())
def test_the_same_answer_to_the_byte(made: SaleMade) -> None:
    out = sale_made(made)
    written = msgspec.json.encode({"success": True, "data": plain_out_of(made)})
    assert written == _ANSWER.dump_json(Envelope(data=out), by_alias=True)


NUMBERS = (
    "1 2 0 -1 1.0 1e0 01 +1 .5 5. 2.50 0.001 1000000 100001 9999999999999 99999999999999 "
    "1.1234567 1e400 NaN Infinity true null \"1\" '' [] {}"
)
numbers = st.sampled_from(NUMBERS.split(" "))
names = st.sampled_from(
    f'"{ID}" "{ID.upper()}" "{ID.replace("-", "")}" "urn:uuid:{ID}" "{{{ID}}}" "x" "" 1 null '
    '"productId" "caf\u00e9" "a\\u0062" "\\ud800"'.split()
)
members = st.one_of(
    st.tuples(
        st.sampled_from(["productId", "parentId", "sku", "barcode", "product_id", "more"]), names
    ),
    st.tuples(st.just("productId"), st.just(f'"{ID}"')),
    st.tuples(st.just("quantity"), numbers),
)
paid = st.one_of(
    st.tuples(st.just("amount"), numbers),
    st.tuples(st.just("method"), st.sampled_from(['"cash"', '"external"', '"card"', "null"])),
    st.tuples(st.sampled_from(["reference", "code", "token"]), names),
)


def _object(pairs: Any) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"


def _list(of: Any, most: int) -> Any:
    return st.lists(of, max_size=most).map(lambda some: f"[{','.join(some)}]")


plain_line = st.builds(
    lambda number: f'{{"productId":"{ID}","quantity":{number}}}', st.integers(1, 5)
)
plain_paid = st.builds(lambda cents: f'{{"amount":{cents / 100},"method":"cash"}}', amounts)
lines = _list(plain_line | st.lists(members, max_size=3).map(_object), 3)
payments = _list(plain_paid | st.lists(paid, max_size=3).map(_object), 2)
extra = st.sampled_from(
    ['"note":"x"', '"tips":1', f'"registerId":"{ID}"', '"lines":[]', '"discount":null', '"x":1']
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    parts = [f'"registerId":"{ID}"', f'"lines":{draw(lines)}', f'"payments":{draw(payments)}']
    parts += draw(st.lists(extra, max_size=1))
    return ("{" + ", ".join(draw(st.permutations(parts))) + "}").encode()


def _meaning(body: Any) -> tuple[Any, ...]:
    """All that is read of a sale."""
    return (
        *(body.register_id, body.location_id, body.discount, body.tips, body.customer_id),
        *(body.note, body.reservation_id, body.expected_total),
        [(line.named, line.quantity, line.discount, line.gift_card) for line in body.lines],
        [
            (payment.method, payment.amount, payment.reference, payment.code, payment.token)
            for payment in body.payments
        ],
    )


@given(bodies())
def test_a_body_means_the_same_or_is_left_alone(raw: bytes) -> None:
    plain = plain_sale(raw)
    if plain is None:
        return
    assert _meaning(plain) == _meaning(_BODY.validate_python(json_body.loads(raw)))


def test_what_tills_send_is_plain() -> None:
    for item in (f'"productId":"{ID}"', '"sku":"T-1"', '"barcode":"4006381333931"'):
        raw = f'{{"registerId":"{ID}","lines":[{{{item}}},{{{item},"quantity":3}}],'
        raw += '"payments":[{"method":"cash","amount":20},{"method":"external","amount":0.5}]}'
        plain = plain_sale(raw.encode())
        assert plain is not None
        assert plain.register_id == UUID(ID)
        assert [line.quantity for line in plain.lines] == [1, 3]


@pytest.mark.parametrize(
    "lines",
    [
        f'{{"productId":"{ID}","quantity":1,"quantity":2}},{{"productId":"{ID}"}}',
        f'{{"productId":"{ID}","productId":"{ID}"}}',
        f'{{"productId":"{ID}","sku":"a"}},{{}}',
    ],
)
def test_what_is_said_twice_is_left_alone(lines: str) -> None:
    raw = f'{{"registerId":"{ID}","lines":[{lines}],"payments":[]}}'.encode()
    assert plain_sale(raw) is None
    try:
        _BODY.validate_python(json_body.loads(raw))
    except (HoldfastError, ValidationError):
        return
    assert "null" in lines
    assert json.loads(raw)


def test_what_is_nested_beyond_reading_is_left_alone() -> None:
    deep = "[" * 8_000 + "]" * 8_000
    raw = f'{{"registerId":"{ID}","lines":[{{"productId":"{ID}"}}],"payments":'
    raw += f'[{{"method":"cash","amount":{deep}}}]}}'
    assert plain_sale(raw.encode()) is None
