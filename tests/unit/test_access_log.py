"""What was refused is found in the log by the id in its answer, and a flood of it is bounded."""

from __future__ import annotations

from typing import Any

import pytest

from core.principal import Principal, Role
from gateway import access_log
from gateway.access_log import REFUSALS_PER_SECOND, AccessLog
from gateway.context import RequestContext


def context(number: int) -> RequestContext:
    return RequestContext(
        request_id=f"r-{number}",
        address="",
        method="GET",
        path="/x",
        query=b"",
        arrived_ms=0,
        principal=Principal("anonymous", Role.ANONYMOUS),
    )


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []

    class Log:
        def info(self, event: str, **facts: Any) -> None:
            found.append((event, facts))

        warning = info

    monkeypatch.setattr(access_log, "_log", Log())
    return found


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500])
def test_each_refusal_has_a_line(lines: list[Any], status: int) -> None:
    AccessLog().record(context(1), status, 0.001)
    [(event, facts)] = lines
    assert (event, facts["request_id"], facts["status"]) == ("request", "r-1", status)


def test_a_flood_of_refusals_is_bounded_and_said(
    lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [5.0]
    monkeypatch.setattr(access_log, "monotonic", lambda: now[0])
    monkeypatch.setattr(access_log, "SAMPLED_ONE_IN", 10**9)
    log = AccessLog()
    for number in range(REFUSALS_PER_SECOND + 7):
        log.record(context(number), 404, 0.001)
    assert len(lines) == REFUSALS_PER_SECOND
    now[0] += 1
    log.record(context(-1), 404, 0.001)
    assert lines[-2:][0] == ("refusals_left_out", {"count": 7})
    assert lines[-1][1]["request_id"] == "r--1"
