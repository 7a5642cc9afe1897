"""What operators ask: is it alive, is it ready, what are its figures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from hmac import compare_digest
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from core.errors import Unauthenticated, Unavailable
from core.principal import Principal
from core.telemetry import get_logger
from deployments.auth.schemas import Jwks
from deployments.kit.capability import Capability
from deployments.kit.resources import Check, Degraded, Shared
from deployments.kit.router import Router
from gateway.access import public_read
from gateway.address import is_local
from gateway.context import context_of
from gateway.errors import responses
from gateway.resources import Resources
from gateway.schemas import CamelModel, Envelope
from store.kit.metrics import exposition

CHECK_TIMEOUT_SECONDS = 2.0
REMEMBERED_SECONDS = 0.5
FIGURES_REMEMBERED_SECONDS = 1.0
# Without these all promises hold: limits and events wait, shards stay where they are.
MISSABLE = frozenset({"redis", "keeper"})

_log = get_logger(__name__)

State = Literal["ok", "degraded", "failed"]
Anyone = Annotated[Principal, Depends(public_read(1))]


class Alive(CamelModel):
    status: Literal["ok"]
    version: str


class Readiness(CamelModel):
    """`degraded`: something that only helps is away, or a part of the shards has no owner for
    the moment; all else is served."""

    status: Literal["ready", "degraded"]
    checks: dict[str, State]


class _Checker:
    """Asks once for all who ask at the same moment, so that asking often costs nothing."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._asked_at = -REMEMBERED_SECONDS
        self._found: dict[str, State] = {}

    async def states(self, checks: Mapping[str, Check]) -> dict[str, State]:
        async with self._lock:
            if time.monotonic() - self._asked_at >= REMEMBERED_SECONDS:
                states = await asyncio.gather(*(self._state(*item) for item in checks.items()))
                self._found = dict(zip(checks, states, strict=True))
                self._asked_at = time.monotonic()
            return self._found

    async def _state(self, name: str, check: Check) -> State:
        try:
            await asyncio.wait_for(check(), CHECK_TIMEOUT_SECONDS)
        except Exception as error:  # why is for the log, not for the caller
            state: State = "degraded" if isinstance(error, Degraded) else "failed"
            if self._found.get(name) != state:
                _log.warning("check_failed", check=name, state=state, error=repr(error))
            return state
        return "ok"


class _Figures:
    """Gathers the metrics once for all who ask within a second."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._gathered_at = -FIGURES_REMEMBERED_SECONDS
        self._text = b""

    async def text(self, resources: Resources) -> bytes:
        async with self._lock:
            if time.monotonic() - self._gathered_at >= FIGURES_REMEMBERED_SECONDS:
                self._text = await exposition(resources.redis, resources.edge.metrics.process)
                self._gathered_at = time.monotonic()
            return self._text


def _check_may_measure(request: Request, resources: Resources) -> None:
    """Raises Unauthenticated for a caller that is no operator."""
    settings = resources.edge.settings
    if settings.metrics_token is None:
        local = is_local(context_of(request.scope).address)
        if local and settings.environment == "development":
            return
        raise Unauthenticated("Metrics need HOLDFAST_METRICS_TOKEN to be set, and brought.")
    given = request.headers.get("authorization", "").encode()
    if not compare_digest(given, f"Bearer {settings.metrics_token}".encode()):
        raise Unauthenticated("Metrics need the operators' token.")


async def _checker(request: Request) -> _Checker:
    """The application's own, made when it is first asked."""
    state = request.app.state
    if not hasattr(state, "readiness_checker"):
        state.readiness_checker = _Checker()
    found: _Checker = state.readiness_checker
    return found


async def _figures(request: Request) -> _Figures:
    """The application's own, like its checker."""
    state = request.app.state
    if not hasattr(state, "figures"):
        state.figures = _Figures()
    found: _Figures = state.figures
    return found


_PLAIN_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}
router = Router()


@router.get("/health", summary="Alive?")
async def health(_: Anyone) -> Envelope[Alive]:
    """Whether this process answers at all."""
    return Envelope(data=Alive(status="ok", version=version("holdfast")))


@router.get("/ready", summary="Ready?")
async def ready(
    _: Anyone, resources: Shared, checker: Annotated[_Checker, Depends(_checker)]
) -> Envelope[Readiness]:
    """Whether requests can be served: Postgres answers, with a schema as young as this build, and
    shards have owners. Without Redis it is degraded (limits and events wait, nothing is lost); so
    it is without a keeper (who is served stays so), and while some shards wait for an owner.
    Otherwise 503, with `checks`."""
    states = await checker.states(resources.checks)
    failed = [name for name, state in states.items() if state == "failed"]
    if set(failed) - MISSABLE:
        error = Unavailable(f"Not ready: {', '.join(failed)}.")
        error.extra = {"checks": states}
        raise error
    is_well = set(states.values()) <= {"ok"}
    return Envelope(data=Readiness(status="ready" if is_well else "degraded", checks=states))


@router.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    responses=_PLAIN_TEXT | responses(Unauthenticated),
)
async def metrics(
    _: Anyone, request: Request, resources: Shared, figures: Annotated[_Figures, Depends(_figures)]
) -> Response:
    """Prometheus text over all processes, each sample with its `process`, at most a second old.
    Without Redis, of this process only. It takes `HOLDFAST_METRICS_TOKEN` as a bearer token; where
    none is set, a developer's own machine needs none, and nobody else is answered."""
    _check_may_measure(request, resources)
    text = await figures.text(resources)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/.well-known/jwks.json", summary="Public keys")
async def jwks(_: Anyone, resources: Shared) -> Jwks:
    """The keys that access tokens are signed with (RFC 7517), for others to verify them."""
    return Jwks.model_validate(resources.edge.keys.jwks())


capability = Capability("meta", "", (router,))
