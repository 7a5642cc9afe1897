"""How each route is called: one good request per route, about a thing of somebody's.

`CASES` has a row for each route of every capability, out of the `cases*.py` beside the tests of
each; `test_walls.py` fails for a route without one, and `test_bad_input.py` spoils each of them in
every way.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

from deployments.capabilities import CAPABILITIES
from gateway.routing import HoldfastRoute, placed
from gateway.schemas import Page
from tests import api
from tests.api.case import Call, Case, RouteId

_BRACES = re.compile(r"\{[^}]*\}")


def routes() -> Iterator[tuple[RouteId, HoldfastRoute]]:
    """Every route of every capability, as the gateway serves it."""
    for capability in CAPABILITIES:
        for route in capability.routes:
            assert isinstance(route, HoldfastRoute)
            full = placed(route, capability.name, capability.prefix, mounted=False)
            for method in full.methods or ():
                yield (method, _BRACES.sub("{id}", full.path)), full


def _cases() -> Iterator[tuple[RouteId, Case]]:
    for folder in pkgutil.iter_modules(api.__path__, "tests.api."):
        if not folder.ispkg:
            continue
        inside = importlib.import_module(folder.name)
        for module in pkgutil.iter_modules(inside.__path__, f"{folder.name}."):
            if module.name.rpartition(".")[2].startswith("cases"):
                yield from importlib.import_module(module.name).CASES.items()


ROUTES = dict(routes())
WITH_BODY = [route_id for route_id, route in ROUTES.items() if route.body_field is not None]
CASES = dict(_cases())


def is_paged(route: HoldfastRoute) -> bool:
    """Whether it answers with a page of a list."""
    model = route.response_model
    return isinstance(model, type) and issubclass(model, Page)


def url(template: str, call: Call) -> str:
    return template.replace("{id}", call.id)
