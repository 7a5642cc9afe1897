"""The till: goods and money change hands."""

from __future__ import annotations

from deployments.kit.capability import Capability
from deployments.pos.card_payments import routes as card_payments
from deployments.pos.card_payments.worker import finish_card_payments
from deployments.pos.gift_cards import guesses
from deployments.pos.gift_cards import routes as gift_cards
from deployments.pos.offline import routes as offline
from deployments.pos.parked import routes as parked
from deployments.pos.receipts import routes as receipts
from deployments.pos.registers import routes as registers
from deployments.pos.returns import routes as returns
from deployments.pos.sales import routes as sales
from deployments.pos.sales.lean import sell
from store.pos.location_uses import LOCATION_USES

capability = Capability(
    "pos",
    "/api/pos",
    (
        card_payments.router,
        gift_cards.router,
        offline.router,
        parked.router,
        receipts.router,
        registers.router,
        returns.router,
        sales.router,
    ),
    tasks=(finish_card_payments,),
    lean=(sell,),
    location_uses=(LOCATION_USES,),
    before=guesses.BEFORE,
    refused=guesses.REFUSED,
)
