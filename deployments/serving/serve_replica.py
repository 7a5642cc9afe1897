"""What Serve's replicas do by themselves, have no option for, and ours must not do."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial
from importlib import import_module
from typing import Any

from starlette.types import Receive, Scope, Send

from gateway.lean_protocol import LeanDoor, LeanProtocol

_replica: Any = import_module("ray.serve._private.replica")
_uvicorn: Any = import_module("uvicorn.protocols.http.httptools_impl")
_server: Any = import_module("uvicorn.server")
_util: Any = import_module("ray.util")
_config: Any = import_module("uvicorn.config")
_add_port = _replica.add_port_to_grpc_server
# Of a request, for Serve's count of what is under way: only its kind is looked at.
_METADATA = _replica.RequestMetadata(
    request_id="",
    internal_request_id="",
    is_direct_ingress=True,
    _request_protocol=_replica.RequestProtocol.HTTP,
)


def listen_on_own_address() -> None:
    """Has this replica take calls of other deployments on its node's address alone.

    Serve binds that port to all interfaces, whatever the API's host, and has no option for it;
    the callers only ever use the node's address, which on one machine is loopback. To be called
    in a deployment's constructor, which runs before Serve opens the port.
    """
    address = _util.get_node_ip_address()

    def add_port(server: Any, requested: str) -> Any:
        _, _, port = requested.rpartition(":")
        return _add_port(server, f"{address}:{port}")

    _replica.add_port_to_grpc_server = add_port


def forget_reset_connections() -> None:
    """Has this replica let go of a connection at once when its other end resets it, as HAProxy does
    with those that it does not keep.

    The server cancels its timer for idle connections only where they were closed in an orderly
    way; otherwise it held all that belongs to them for a minute and a half: with 2,000 callers,
    half a gigabyte.
    """
    lost = _uvicorn.HttpToolsProtocol.connection_lost

    def connection_lost(protocol: Any, error: Exception | None) -> None:
        lost(protocol, error)
        protocol._unset_keepalive_if_required()

    _uvicorn.HttpToolsProtocol.connection_lost = connection_lost


def tick_seldom() -> None:
    """Has this replica's HTTP server look once a second whether it is to end, and write the date
    anew, instead of ten times."""

    async def main_loop(server: Any) -> None:
        tenths = 0
        while not await server.on_tick(tenths):
            await asyncio.sleep(1.0)
            tenths += 10  # the date is written anew with every tenth of these

    _server.Server.main_loop = main_loop


def match_routes_once() -> None:
    """Keeps Serve from looking for the route of each request before the application does.

    It goes through all routes one by one, only to name its own metrics by route: with 150 of them
    that took a third of a replica's time. Serve's metrics name the application then; ours name
    the route.
    """
    _replica.get_asgi_route_name = lambda app, scope: None


def serve_directly(routes: Collection[tuple[str, str]]) -> None:
    """Has this replica give requests for `routes` (method and full path) straight to its
    application.

    Serve makes three tasks, a queue and its own metadata, log line and metrics for each request:
    a third of a replica's time. What is left out is that, and that a handler is cancelled when its
    client hangs up; what is kept is the count of what is under way, for which a replica that is to
    leave waits, and the limit to it: beyond that a request goes Serve's way. To be called in a
    deployment's constructor, which runs before Serve opens the port.
    """
    serves_way = _replica.Replica._direct_ingress_asgi

    async def answer(replica: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if (scope.get("method"), scope["path"]) not in routes or replica._semaphore.locked():
            await serves_way(replica, scope, receive, send)
            return
        scope["root_path"] = scope.get("root_path", "") + replica._route_prefix.rstrip("/")
        async with replica._start_request(_METADATA):
            await replica._user_callable_asgi_app(scope, receive, send)

    _replica.Replica._direct_ingress_asgi = answer


def speak_lean() -> None:
    """Has this replica's HTTP server answer lean routes from its parser, through the entrance of
    the replica's application (`app.state.entrance`); it counts and limits them as
    `serve_directly` does. To be called in a deployment's constructor, too.
    """
    start = _replica.start_asgi_http_server

    async def start_lean(app: Any, *arguments: Any, **options: Any) -> Any:
        replica = app.__self__
        door = LeanDoor(
            replica._user_callable_asgi_app.state.entrance,
            replica._semaphore.locked,
            partial(replica._start_request, _METADATA),
        )
        # Serve has no option for the protocol, and leaves the choice to uvicorn.
        _config.HTTP_PROTOCOLS["auto"] = partial(LeanProtocol, door)
        return await start(app, *arguments, **options)

    _replica.start_asgi_http_server = start_lean
