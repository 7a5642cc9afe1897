"""The API is what its document says: schemathesis over it, against a running copy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.principal import Role
from gateway.openapi import describe
from tests.api.cases import routes
from tests.api.shop import Shop
from tests.runtime.conftest import LONG
from tests.stack import Stack

# All operations together, per layout; each gets its share, and says so if it was too little.
BUDGET_SECONDS = 60.0
# Other ones in each run, and in each layout.
EXAMPLES = 50 if LONG else 10
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
COMMITTED = Path(__file__).parents[3] / "deployments" / "openapi.json"
PROOF = "authorization"
SENT = ("method", "url", "params", "json", "data", "content")
# It ends the very session that asks; somebody else's session takes its place.
ENDS_SESSION = "/api/auth/logout"


def document() -> dict[str, Any]:
    """The code's own, without anything running."""
    return describe([route for _, route in routes()])


OPERATIONS = [
    f"{method.upper()} {path}" for path, item in document()["paths"].items() for method in item
]


def test_the_committed_document_is_the_codes() -> None:
    if not COMMITTED.exists():
        pytest.skip(f"NOT RUN: there is no {COMMITTED.name} yet")
    assert json.loads(COMMITTED.read_text()) == document()


async def test_the_served_document_is_the_codes(stack: Stack) -> None:
    async with stack.client() as http:
        assert (await http.get("/openapi.json")).json() == document()


@pytest.fixture(scope="session")
def schema() -> schemathesis.schemas.BaseSchema:
    return schemathesis.openapi.from_dict(document())


@pytest.fixture
def session(shop: Shop) -> Iterator[httpx2.Client]:
    headers = dict(shop.owner.http.headers)
    with httpx2.Client(
        base_url=shop.stack.url, headers=headers, timeout=30, verify=False
    ) as client:
        yield client


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation(
    shop: Shop, schema: schemathesis.schemas.BaseSchema, session: httpx2.Client, name: str
) -> None:
    method, path = name.split()
    operation = schema[path][method]
    ends_at = time.monotonic() + BUDGET_SECONDS / len(OPERATIONS)
    tried = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def probe(case: Case[Any]) -> None:
        nonlocal tried
        if time.monotonic() > ends_at and tried:
            return
        tried += 1
        options = case.as_transport_kwargs(base_url=shop.stack.url)
        # The client would refuse to send spaces around a value, and so they never arrive.
        headers = {k: v.strip() for k, v in options["headers"].items() if k.lower() != PROOF}
        if path == ENDS_SESSION:
            token = shop.stack.token(Role.OWNER, shop.tenant, shop.owner.id)
            headers["Authorization"] = f"Bearer {token}"
        sent = {key: options[key] for key in SENT if key in options}
        answer = session.request(**sent, headers=headers)
        # Not to be ready is an answer, too.
        checks = CHECKS[1:] if path == "/ready" else CHECKS
        case.validate_response(answer, checks=checks)

    probe()
    assert tried
