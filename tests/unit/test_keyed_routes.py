"""A key that an earlier build has answered names the same command in this one."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from core.ids import uuid7
from core.principal import Principal, Role
from gateway.context import RequestContext
from gateway.idempotency import command_route, key_of
from tests.api.cases import ROUTES

# Every route that changes something, as keys name it. What is here is in the ids of a week of
# commands, so a line goes only with its route.
GOLDEN = Path(__file__).with_name("golden_keyed_routes.txt").read_text().splitlines()
TENANT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def test_routes_are_named_as_they_were() -> None:
    ours = {
        f"{method} {command_route(route.template)}"
        for (method, _), route in ROUTES.items()
        if method != "GET"
    }
    assert sorted(ours) == GOLDEN, "a new route's line is to be added"


def test_a_command_has_the_id_that_it_had() -> None:
    context = RequestContext(
        request_id="",
        address="",
        method="PUT",
        path=f"/api/business/locations/{uuid7()}",
        query=b"",
        arrived_ms=0,
        principal=Principal("ann", Role.OWNER, TENANT),
        template="/api/business/locations/{locationId}",
    )
    assert key_of(context, b"{}", "k-1").command_id == UUID("1f9fde6a-9ba4-c4fa-c618-1b6d3f75917c")
