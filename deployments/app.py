"""Builds Serve applications out of capabilities: the composition root of replicas.

One `build` makes any split. Without arguments it is the whole API, at "/", with the keeper; with
`{"capability": "inventory"}` only that one, to be mounted at its prefix in front of the whole.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any, cast

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from actors.runtime.remote import RayTransport, leave
from actors.runtime.watchdog import Watchdog
from core.garbage import collect_seldom
from core.settings import get_settings
from core.telemetry import configure_logging
from deployments.capabilities import CAPABILITIES
from deployments.inventory import lean as lean_inventory
from deployments.keeper import KeeperReplica
from deployments.pos import lean as lean_pos
from deployments.resources import make_resources
from deployments.serve_replica import (
    listen_on_own_address,
    match_routes_once,
    serve_directly,
)
from gateway.app import create_app

KEEPER = "keeper"
REPLICA_CPUS = 0.2
KEEPER_CPUS = 0.05
MAX_ONGOING_REQUESTS = 1_000
MAX_QUEUED_REQUESTS = 4_000
# Longer than an application takes to be built on a machine that is short of CPU.
HUNG_SECONDS = 15.0
LEAN_ROUTES = frozenset({lean_inventory.ROUTE, lean_pos.ROUTE})


def build(args: dict[str, Any]) -> serve.Application:
    """A Serve application. `args` may hold `capability`, the name of the only one to serve, and
    `replicas`."""
    settings = get_settings()
    name = args.get("capability")

    def make_app() -> FastAPI:  # called in the replica; Serve takes plain functions only
        return _make_app(name)

    api: Any = serve.deployment(
        serve.ingress(make_app)(_Replica),
        name=name or "api",
        num_replicas=int(args.get("replicas", settings.replicas)),
        max_ongoing_requests=MAX_ONGOING_REQUESTS,
        max_queued_requests=MAX_QUEUED_REQUESTS,
        graceful_shutdown_timeout_s=5,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=2,
        health_check_timeout_s=10,
        ray_actor_options={"num_cpus": REPLICA_CPUS},
    )
    if name:
        return cast(serve.Application, api.bind())
    keeper: Any = serve.deployment(
        KeeperReplica,
        name=KEEPER,
        num_replicas=1,
        graceful_shutdown_timeout_s=1,
        health_check_period_s=2,
        health_check_timeout_s=10,
        ray_actor_options={"num_cpus": KEEPER_CPUS},
    )
    return cast(serve.Application, api.bind(keeper.bind()))


class _Replica:
    """What Serve runs; the application inside answers everything."""

    def __init__(self, keeper: DeploymentHandle[Any] | None = None) -> None:
        """Takes the keeper only so that Serve starts it with the application."""
        listen_on_own_address()
        match_routes_once()
        serve_directly(LEAN_ROUTES)
        # Serve makes a line for each request, and only then sees that nobody wants it.
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        Watchdog(leave, hung_seconds=HUNG_SECONDS).start(asyncio.get_running_loop())


def _make_app(only: str | None) -> FastAPI:
    settings = get_settings()
    configure_logging(settings.log_level)
    mounted = next((one for one in CAPABILITIES if one.name == only), None)
    process = f"replica-{mounted.name if mounted else 'api'}-{os.getpid()}"
    resources = make_resources(settings, RayTransport(), process)
    lean = lean_inventory.lean_handlers(resources) | lean_pos.lean_handlers(resources)
    app = create_app(settings, CAPABILITIES, resources, mounted=mounted, lean=lean)
    collect_seldom()
    return app
