"""A business has ended, and for some seconds its tokens still count where that is not known yet:
each route answers what its document says, and nothing new comes into the catalogue."""

from __future__ import annotations

from uuid import uuid4

from core.principal import Role
from core.settings import Settings
from gateway.openapi import describe
from tests.api.cases import CASES, ROUTES, routes, url
from tests.api.in_process import in_process
from tests.api.shop import open_shop

OWNERS = [route for route, case in CASES.items() if Role.OWNER in case.may]
END = "UPDATE businesses SET deleted_at = now() WHERE id = $1"
NEW_IN_CATALOG = [
    ("POST", "/api/products"),
    ("POST", "/api/products/categories"),
    ("POST", "/api/products/import"),
    ("POST", "/api/products/{id}/variants"),
]


async def test_routes_answer_of_an_ended_business_what_they_document(embedded: Settings) -> None:
    documented = describe([route for _, route in routes()])["paths"]
    undocumented, statuses = {}, {}
    async with in_process(embedded) as here, open_shop(here) as shop:
        calls = {route: await CASES[route].make(shop) for route in OWNERS}
        await shop.rows(END, shop.tenant)
        for (method, template), call in calls.items():
            # A session of its own: one of the routes ends it.
            token = shop.stack.token(Role.OWNER, shop.tenant, shop.owner.id)
            headers = {} if method == "GET" else {"Idempotency-Key": str(uuid4())}
            async with shop.stack.client(token) as http:
                path = url(template, call)
                answer = await http.request(
                    method, path, headers=headers, json=call.body, params=call.query
                )
            operation = documented[ROUTES[method, template].path_format][method.lower()]
            statuses[method, template] = answer.status_code
            if str(answer.status_code) not in operation["responses"]:
                undocumented[method, template] = answer.text
    assert undocumented == {}
    assert {route: statuses[route] for route in NEW_IN_CATALOG} == dict.fromkeys(
        NEW_IN_CATALOG, 404
    )
