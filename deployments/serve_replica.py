"""What Serve's replicas do by themselves, have no option for, and ours must not do."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_replica: Any = import_module("ray.serve._private.replica")
_util: Any = import_module("ray.util")
_add_port = _replica.add_port_to_grpc_server


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


def match_routes_once() -> None:
    """Keeps Serve from looking for the route of each request before the application does.

    It goes through all routes one by one, only to name its own metrics by route: with 150 of them
    that took a third of a replica's time. Serve's metrics name the application then; ours name
    the route.
    """
    _replica.get_asgi_route_name = lambda app, scope: None
