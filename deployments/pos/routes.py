"""The till over HTTP. Each module adds its routes to the one router."""

from __future__ import annotations

from deployments.pos.card_payments import routes as card_routes
from deployments.pos.gift_cards import guesses
from deployments.pos.gift_cards import routes as gift_card_routes
from deployments.pos.offline import routes as offline_routes
from deployments.pos.parked import routes as parked_routes
from deployments.pos.receipts import routes as receipt_routes
from deployments.pos.registers import routes as register_routes
from deployments.pos.returns import routes as return_routes
from deployments.pos.router import router
from deployments.pos.sales import routes as sale_routes
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

capability = Capability("pos", "/api/pos", router, before=guesses.BEFORE, refused=guesses.REFUSED)
