"""What Serve's replicas are kept from doing: fails when a new Ray does it in another place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve._private import replica as serve_replica
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.serve_replica import match_routes_once


async def _answer(request: Request) -> Response:
    return Response()


def _route_of(path: str) -> str:
    """What Serve's replica takes for the route of a request."""
    app = Starlette(routes=[Route("/things/{id}", _answer)])
    replica: Any = SimpleNamespace(_route_prefix="/", _user_callable_asgi_app=app)
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
    found: str = serve_replica.Replica._determine_http_route(replica, scope)
    return found


def test_serve_does_not_look_for_the_route(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "get_asgi_route_name"
    monkeypatch.setattr(serve_replica, name, getattr(serve_replica, name))
    assert _route_of("/things/7") == "/things/{id}"
    match_routes_once()
    assert _route_of("/things/7") == "/"
