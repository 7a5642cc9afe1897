"""The HTTP side that all baselines share: FastAPI, a body, a token, an answer."""

# No `from __future__ import annotations` here: FastAPI could not resolve what is local to make_app.

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Protocol
from uuid import UUID

from fastapi import Depends, FastAPI, Header, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from bench.baselines.selling import Till, add_sales
from bench.baselines.wire import Camel, refusal
from bench.tills import CURRENCY
from core.clock import SystemClock
from core.errors import Unauthenticated
from core.garbage import collect_seldom
from core.ids import uuid7
from core.principal import STAFF, Principal
from core.settings import Settings, get_settings
from gateway.keys import KeyRing
from gateway.tokens import Tokens

PATH = "/api/inventory/reserve"


class ReserveBody(Camel):
    product_id: UUID
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    ttl_seconds: Annotated[int, Field(ge=1, le=604_800)] = 900
    reference: Annotated[str | None, Field(max_length=200)] = None


class Reserved(Camel):
    reservation_id: UUID
    status: Literal["open"] = "open"
    product_id: UUID
    quantity: int
    available: int
    expires_at: datetime


class Envelope(Camel):
    success: Literal[True] = True
    data: Reserved


@dataclass(frozen=True, slots=True)
class Hold:
    """What is to be held: the row that every baseline writes."""

    id: UUID
    tenant_id: UUID
    product_id: UUID
    quantity: int
    reference: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime


class Shop(Protocol):
    """One way to do the job."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def reserve(self, hold: Hold) -> int | None:
        """Makes the hold durable; what is available after it. None if there is too little."""
        ...


def make_app(shop: Shop, settings: Settings | None = None, till: Till | None = None) -> FastAPI:
    """The application of one worker. With a `till` it sells, too."""
    settings = settings or get_settings()
    tokens = Tokens(settings, KeyRing(settings), SystemClock())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await shop.start()
        collect_seldom()  # as our replicas do
        try:
            yield
        finally:
            await shop.stop()

    app = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,
        # As Holdfast does: nobody asks on every request whether there is a tracer.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )

    async def caller(authorization: Annotated[str, Header()] = "") -> Principal:
        kind, _, proof = authorization.partition(" ")
        if kind.lower() != "bearer" or not proof:
            raise Unauthenticated
        principal = tokens.recall(proof) or tokens.verify(proof)
        if principal.role not in STAFF or principal.tenant_id is None:
            raise Unauthenticated
        return principal

    @app.exception_handler(Unauthenticated)
    async def unauthenticated(request: object, error: Exception) -> Response:
        return JSONResponse({"success": False, "code": "unauthenticated"}, 401)

    @app.post(PATH, response_model=Envelope)
    async def reserve(
        body: ReserveBody, principal: Annotated[Principal, Depends(caller)]
    ) -> Envelope | Response:
        hold = _hold(body, principal)
        available = await shop.reserve(hold)
        if available is None:
            return refusal()
        reserved = Reserved(
            reservation_id=hold.id,
            product_id=hold.product_id,
            quantity=hold.quantity,
            available=available,
            expires_at=hold.expires_at,
        )
        return Envelope(data=reserved)

    if till is not None:
        add_sales(app, till, caller, CURRENCY)

    @app.get("/ready")
    async def ready() -> dict[str, bool]:
        return {"success": True}

    return app


def _hold(body: ReserveBody, principal: Principal) -> Hold:
    if principal.tenant_id is None:
        raise Unauthenticated
    now = datetime.now(UTC)
    return Hold(
        uuid7(),
        principal.tenant_id,
        body.product_id,
        body.quantity,
        body.reference,
        principal.id,
        now,
        now + timedelta(seconds=body.ttl_seconds),
    )
