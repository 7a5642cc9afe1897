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
from jsonschema import Draft202012Validator
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


def _objects(part: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object within, and itself."""
    if isinstance(part, dict):
        yield part
    if isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _objects(inner)


def _leads_to(part: Any, schemas: dict[str, Any]) -> set[str]:
    """The schemas that a part refers to, also by others."""
    found: set[str] = set()
    ahead = [part]
    while ahead:
        for item in _objects(ahead.pop()):
            name = str(item.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                ahead.append(schemas[name])
    return found


def test_the_schemas_are_sound() -> None:
    """Generators of clients stop at a schema that is none, and at a default of another type."""
    whole = document()
    for name, schema in whole["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        for part in _objects(schema):
            if "default" in part and not isinstance(part["default"], dict):
                looked_up = {**part, "components": whole["components"]}
                assert Draft202012Validator(looked_up).is_valid(part["default"]), (name, part)


def test_each_schema_is_one_of_a_route() -> None:
    """A model that never travels is nobody's business."""
    whole = document()
    schemas = whole["components"]["schemas"]
    assert schemas.keys() - _leads_to(whole["paths"], schemas) == set()


def test_answers_may_gain_fields() -> None:
    """Clients that were generated refuse a new field where the schema takes no others."""
    whole = document()
    schemas = whole["components"]["schemas"]
    operations = [operation for path in whole["paths"].values() for operation in path.values()]
    answered = _leads_to([operation["responses"] for operation in operations], schemas)
    closed = [n for n in sorted(answered) if schemas[n].get("additionalProperties") is False]
    assert closed == []
    assert schemas["NewSale"]["additionalProperties"] is False, "what is sent has no other fields"


def test_no_truth_value_is_a_constant() -> None:
    """Generated clients compare it with a text, and refuse each answer."""
    assert [part for part in _objects(document()) if isinstance(part.get("const"), bool)] == []


def _closed(whole: dict[str, Any]) -> dict[str, Any]:
    """The document as if answers never gained a field: what they have and it lacks is a leak."""
    for schema in whole["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return whole


@pytest.fixture(scope="session")
def schema() -> schemathesis.schemas.BaseSchema:
    return schemathesis.openapi.from_dict(_closed(document()))


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
