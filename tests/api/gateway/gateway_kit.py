"""What the tests of the edge share: an application of trial routes, and the shape of a refusal."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx2

from core.ids import uuid7
from core.principal import Role
from gateway.errors import PROBLEM_JSON
from tests.api.gateway import trial
from tests.api.harness import BASE, Served

ALL = (*BASE, trial.capability)
PRODUCT = "01a1f834-14e8-728c-ad00-07d2f4ba597c"
BASKET = {"lines": [{"productId": PRODUCT, "quantity": 1}]}


def bearer(served: Served, role: Role, tenant: UUID | None = None) -> dict[str, str]:
    token = served.resources.edge.tokens.issue(uuid7(), role, tenant, uuid7())
    return {"Authorization": f"Bearer {token}"}


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The document of a refusal, which must have the shape that all refusals have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM_JSON
    document: dict[str, Any] = answer.json()
    assert document["success"] is False
    assert (document["status"], document["code"]) == (status, code)
    assert document["requestId"] == answer.headers["x-request-id"]
    assert document["title"]
    assert document["detail"]
    return document


def fields(answer: httpx2.Response) -> list[str]:
    return [item["field"] for item in problem(answer, 400, "validation_failed")["errors"]]
