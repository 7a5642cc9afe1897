"""What runs in a replica: the composition root of its process.

Apart from `deployments.app`, which a process of Serve's imports to learn what there is to deploy:
that one need not load what a replica needs.
"""

from __future__ import annotations

import asyncio
import logging
import os

from fastapi import FastAPI

from actors.runtime.remote import RayTransport, leave
from actors.runtime.watchdog import Watchdog
from core.garbage import collect_seldom
from core.settings import get_settings
from core.telemetry import configure_logging
from deployments.capabilities import CAPABILITIES
from deployments.kit.capability import lean_handlers
from deployments.kit.resources import make_resources
from deployments.serving.serve_replica import (
    forget_reset_connections,
    listen_on_own_address,
    match_routes_once,
    serve_directly,
    speak_lean,
    tick_seldom,
)
from gateway.app import create_app

LEAN_ROUTES = frozenset[tuple[str, str]]().union(*(each.lean_routes() for each in CAPABILITIES))
# Longer than an application takes to be built on a machine that is short of CPU.
HUNG_SECONDS = 15.0


def prepare() -> None:
    """Has Serve run this process our way. To be called before Serve opens its ports."""
    listen_on_own_address()
    forget_reset_connections()
    tick_seldom()
    match_routes_once()
    serve_directly(LEAN_ROUTES)
    speak_lean()
    # Serve makes a line for each request, and only then sees that nobody wants it.
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    Watchdog(leave, hung_seconds=HUNG_SECONDS).start(asyncio.get_running_loop())


def make_app(only: str | None) -> FastAPI:
    """The application, of one capability or of all."""
    settings = get_settings()
    configure_logging(settings.log_level)
    mounted = next((each for each in CAPABILITIES if each.name == only), None)
    served = (mounted,) if mounted else CAPABILITIES
    process = f"replica-{mounted.name if mounted else 'api'}-{os.getpid()}"
    resources = make_resources(settings, RayTransport(settings), process, CAPABILITIES, served)
    lean = lean_handlers(served, resources)
    app = create_app(settings, CAPABILITIES, resources, mounted=mounted, lean=lean)
    collect_seldom()
    return app
