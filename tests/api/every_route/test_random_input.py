"""Whatever hypothesis thinks of: every answer is one of ours, and none is a 5xx."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.ids import uuid7
from core.principal import Role
from gateway.errors import PROBLEM_JSON
from tests.api.case import RouteId
from tests.api.cases import CASES, WITH_BODY
from tests.stack import Stack

bounded = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
numbers = st.integers() | st.floats() | st.sampled_from([2**31, 2**63, -(2**63), 10**400])
# Half surrogates too: they are escaped on the way out.
texts = st.text(st.characters(codec=None), max_size=50)
scalars = st.none() | st.booleans() | numbers | texts
# Names that mean something, so that what is behind them is looked at.
names = texts | st.sampled_from(
    ["productId", "quantity", "lines", "delta", "reason", "name", "price", "rows", "sku", "email"]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)
# Control characters make it no HTTP at all, which is for the server's parser to say.
CONTROLS = bytes(range(32)) + b"\x7f"
header_values = st.binary(max_size=60).map(lambda raw: raw.translate(None, CONTROLS).strip())


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx2.Client]:
    """An owner of no business that there is: whatever gets through writes nothing of anyone's."""
    token = stack.token(Role.OWNER, uuid7())
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with httpx2.Client(base_url=stack.url, headers=headers, timeout=30, verify=False) as client:
        yield client


def is_honest(answer: httpx2.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == PROBLEM_JSON, answer.text
        assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize("route", WITH_BODY, ids=" ".join)
@bounded
@given(document=values)
def test_any_json(http: httpx2.Client, route: RouteId, document: Any) -> None:
    path = route[1].replace("{id}", str(uuid7()))
    is_honest(http.request(route[0], path, content=json.dumps(document).encode()))


@pytest.mark.parametrize("route", WITH_BODY, ids=" ".join)
@bounded
@given(body=st.binary(max_size=200))
def test_any_bytes(http: httpx2.Client, route: RouteId, body: bytes) -> None:
    path = route[1].replace("{id}", str(uuid7()))
    answer = http.request(route[0], path, content=body)
    is_honest(answer)
    assert answer.status_code >= 400


@bounded
@given(route=st.sampled_from(sorted(CASES)), text=st.text(max_size=60))
def test_any_id(http: httpx2.Client, route: RouteId, text: str) -> None:
    raw = quote(text.encode("utf-8", "surrogatepass"), safe="")
    is_honest(http.request(route[0], route[1].replace("{id}", raw or "-")))


@bounded
@given(query=st.dictionaries(st.text(max_size=10), st.text(max_size=60), max_size=4))
def test_any_query(http: httpx2.Client, query: dict[str, str]) -> None:
    pairs = "&".join(
        "=".join(quote(part.encode("utf-8", "surrogatepass"), safe="") for part in pair)
        for pair in query.items()
    )
    for path in ("/api/products", "/api/inventory/reservations"):
        is_honest(http.get(f"{path}?{pairs}"))


@bounded
@given(
    name=st.sampled_from(
        ["Authorization", "Idempotency-Key", "X-Request-Id", "X-Forwarded-For", "Content-Type"]
    ),
    value=header_values,
)
def test_any_header(http: httpx2.Client, name: str, value: bytes) -> None:
    sent = [(key, text) for key, text in http.headers.raw if key.lower() != name.lower().encode()]
    headers = [*sent, (name.encode(), value)]
    is_honest(http.post("/api/products", content=b"{}", headers=headers))
