"""The till over HTTP. Each module adds its routes to the one router."""

from __future__ import annotations

from deployments.pos import (
    card_routes,
    gift_card_routes,
    offline_routes,
    parked_routes,
    receipt_routes,
    register_routes,
    return_routes,
    sale_routes,
)
from deployments.pos.router import router
from gateway.capability import Capability

__all__ = [
    "capability",
    "card_routes",
    "gift_card_routes",
    "offline_routes",
    "parked_routes",
    "receipt_routes",
    "register_routes",
    "return_routes",
    "sale_routes",
]

capability = Capability("pos", "/api/pos", router)
