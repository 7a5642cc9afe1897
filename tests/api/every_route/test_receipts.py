"""What an owner decides is answered with receipts of the order of decision, and the document says
so; and each answer is what the document says, to the field. Generated from the routes: each is
tried with its own good request."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from pydantic import TypeAdapter, ValidationError

from actors.runtime.bus import Decided
from core.ids import text_of
from core.request import command_id
from core.settings import Settings
from deployments.kit.receipts import RECEIPT_HEADER, receipt_header
from gateway import json_body
from gateway.access import READING
from gateway.routing import HoldfastRoute
from tests.api.case import RouteId
from tests.api.cases import CASES, ROUTES, url
from tests.api.every_route.test_repeats import OWN, ROLES
from tests.api.in_process import in_process
from tests.api.shop import Shop, open_shop

MUTATING = [route for route in CASES if route[0] not in READING]


class HeardBus:
    """A command bus, and what was decided through it, by the ids of the commands."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self.decided: dict[UUID, Decided] = {}

    async def send(self, *arguments: Any) -> Decided:
        decided: Decided = await self._bus.send(*arguments)
        self.decided[arguments[-1].command_id] = decided
        return decided

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


def documents(route: HoldfastRoute) -> bool:
    """Whether a success has the header, by the document."""
    answer = route.responses.get(route.status_code or 200, {})
    return RECEIPT_HEADER in answer.get("headers", {})


async def test_what_an_owner_decides_has_receipts_and_the_document_says_so(
    embedded: Settings,
) -> None:
    """An owner decides a request when a command goes to one under the request's own key. An upload
    has many decided, each under a key of its own: it documents receipts, so it must give them.

    An answer that the command log keeps is written where it is made, and never passes through
    FastAPI, which would leave out what the document does not have: of a model that is more than the
    declared one all would go out."""
    outcomes: dict[RouteId, Outcome] = {}
    async with in_process(embedded) as here:
        resources: Any = here.served.resources
        resources.bus = bus = HeardBus(resources.bus)
        for route in MUTATING:
            async with open_shop(here) as shop:
                outcomes[route] = await _tried(bus, shop, route)
    decided = {route for route, outcome in outcomes.items() if outcome.decided is not None}
    given = {route for route, outcome in outcomes.items() if outcome.header}
    documented = {route for route in MUTATING if documents(ROUTES[route])}
    assert decided <= documented
    assert documented <= decided | given
    for route in decided:
        assert (outcomes[route].header or "") == outcomes[route].decided, route
    assert len(given) > 20
    assert {route: outcome.unlike for route, outcome in outcomes.items() if outcome.unlike} == {}


class Outcome(NamedTuple):
    """Of a success: the header that its owner's receipts come to, if one has decided it, the
    header that it had, and in what its body is not as the document says."""

    decided: str | None = None
    header: str | None = None
    unlike: str = ""


def unlike(route: HoldfastRoute, body: bytes) -> str:
    """Answers are models that know no other fields than theirs."""
    if route.response_model is None or not body:
        return ""
    try:
        TypeAdapter(route.response_model).validate_python(json_body.loads(body))
    except ValidationError as error:
        return str(error)
    return ""


async def _tried(bus: HeardBus, shop: Shop, route: RouteId) -> Outcome:
    (method, template), case, key = route, CASES[route], str(uuid4())
    role = next((role for role in ROLES if role in case.may), None)
    if role is None:
        return Outcome()
    caller = shop.owner if role is ROLES[0] else await shop.caller(role)
    call = await (OWN[route](caller, shop) if route in OWN else case.make(shop))
    content = None if call.body is None else json.dumps(call.body)
    headers = {"Content-Type": "application/json"} if content else {}
    path = url(template, call)
    answer = await caller.call(method, path, key=key, content=content, headers=headers)
    if not answer.is_success:
        return Outcome()
    tenant = text_of(caller.tenant) if caller.tenant else ""
    principal = text_of(caller.id) if caller.id else ""
    own = command_id(tenant, principal, method, ROUTES[route].template, key)
    decided = bus.decided.get(own)
    receipts = None if decided is None else receipt_header(decided.receipts)
    differing = unlike(ROUTES[route], answer.content)
    return Outcome(receipts, answer.headers.get(RECEIPT_HEADER), differing)
