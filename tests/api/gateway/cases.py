"""How what operators and clients ask before all else is called."""

from __future__ import annotations

from tests.api.case import Case, RouteId, for_everyone

CASES: dict[RouteId, Case] = {
    ("GET", "/health"): for_everyone(),
    ("GET", "/ready"): for_everyone(),
    ("GET", "/metrics"): for_everyone(),
    ("GET", "/.well-known/jwks.json"): for_everyone(),
}
