"""`/docs` and `/openapi.json`. The page's script and style come from an installed package, so that
it works where there is no internet, and its policy allows no other source."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.context import context_of
from gateway.openapi import describe

COST = 4
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast API</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""


def documentation(routes: Sequence[BaseRoute]) -> list[Route]:
    """Routes that document `routes`. The document is made on first use and then kept; making it
    takes a second of a processor, so a thread does it, once, while the replica serves others."""

    @cache
    def making() -> asyncio.Task[bytes]:
        return asyncio.create_task(asyncio.to_thread(_document, routes))

    async def openapi(request: Request) -> Response:
        _charge(request, "/openapi.json")
        # A caller that hangs up ends its own waiting, not what others wait for.
        document = await asyncio.shield(making())
        return Response(document, media_type="application/json")

    return [
        Route("/openapi.json", openapi, include_in_schema=False),
        Route("/docs", _page, include_in_schema=False),
        Route("/docs/{name}", _asset, include_in_schema=False),
    ]


def _document(routes: Sequence[BaseRoute]) -> bytes:
    return json.dumps(describe(routes)).encode()


def _charge(request: Request, template: str) -> None:
    """The document is large and costs the caller as much as a list. Raises Limited."""
    context = context_of(request.scope)
    context.template = template
    request.app.state.resources.edge.limiter.check(context.principal, COST - 1)


async def _page(request: Request) -> Response:
    context_of(request.scope).template = "/docs"
    policy = {"Content-Security-Policy": _POLICY}
    return Response(_PAGE, media_type="text/html", headers=policy)


@cache
def _read(name: str) -> bytes:
    return files("fastapi_offline").joinpath("static", name).read_bytes()


async def _asset(request: Request) -> Response:
    _charge(request, "/docs/{name}")
    name = request.path_params["name"]
    if name == "start.js":
        return Response(_START, media_type="text/javascript")
    if name not in _ASSETS:
        raise HTTPException(404)
    content = _read(name)
    caching = {"Cache-Control": "public, max-age=86400"}
    return Response(content, media_type=_ASSETS[name], headers=caching)
