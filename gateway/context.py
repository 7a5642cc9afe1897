"""What the gateway knows of the request at hand. Every handler finds it in its ASGI scope."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, cast

from core.errors import HoldfastError
from core.principal import Principal

DEADLINE_MS = 30_000
UNMATCHED = "unmatched"

_KEY = "holdfast"


@dataclass(slots=True)
class RequestContext:
    """`address` is the caller's IP address, `arrived_ms` wall time calibrated with the database,
    `path` the full path, whatever prefix the application is mounted at.

    `denied` says why the credentials of the request were not accepted; the principal is anonymous
    then. Routes that are open to all answer nevertheless, so that a client with an expired token
    can sign in.
    """

    request_id: str
    address: str
    method: str
    path: str
    query: bytes
    arrived_ms: int
    principal: Principal
    denied: HoldfastError | None = None
    idempotency_key: str | None = None
    template: str = UNMATCHED

    @property
    def log_facts(self) -> dict[str, str]:
        """What each line of the log says about the request."""
        facts = {"request_id": self.request_id}
        if self.principal.tenant_id is not None:
            facts["tenant_id"] = str(self.principal.tenant_id)
        return facts

    @property
    def deadline_ms(self) -> int:
        return self.arrived_ms + DEADLINE_MS


def attach(scope: MutableMapping[str, Any], context: RequestContext) -> None:
    scope[_KEY] = context


def context_of(scope: MutableMapping[str, Any]) -> RequestContext:
    """The context that the middleware attached. Raises KeyError outside of it."""
    return cast(RequestContext, scope[_KEY])


def context_if_any(scope: MutableMapping[str, Any]) -> RequestContext | None:
    """The context, if one was attached before."""
    return cast(RequestContext | None, scope.get(_KEY))
