"""The till: goods and money change hands."""

from __future__ import annotations

from deployments.kit.capability import Capability
from deployments.pos.card_payments import routes as card_payments
from deployments.pos.card_payments.worker import finish_card_payments
from deployments.pos.gift_cards import guesses
from deployments.pos.gift_cards import routes as gift_cards
from deployments.pos.offline import routes as offline
from deployments.pos.parked import routes as parked
from deployments.pos.places import forget_place
from deployments.pos.receipts import routes as receipts
from deployments.pos.registers import routes as registers
from deployments.pos.returns import routes as returns
from deployments.pos.sales import routes as sales
from deployments.pos.sales.lean import sell
from store.pos.location_uses import LOCATION_USES

# A sale that was made offline has an id of its client's, and the second half of a card sale an end;
# neither is asked for by these routes.
_EXEMPT = {
    f"POST /api/pos/{path}: {code}": why
    for path in ("sales", "gift-cards")
    for code, why in {
        "client_sale_id_reused": "only what was made offline has such an id",
        "sale_too_late": "only the second half of a card sale has an end, and hears it itself",
    }.items()
} | {
    "POST /api/pos/registers: shift_open": "a new register has a new id",
    "POST /api/pos/registers/{registerId}/no-sale: drawer_short": "takes nothing out",
    "POST /api/pos/registers/{registerId}/no-sale: amount_limit": "puts nothing in",
    "POST /api/pos/sales/{saleId}/returns: already_returned": "only a void asks for it",
    "POST /api/pos/sales/{saleId}/returns: void_too_late": "only a void asks for it",
    "POST /api/pos/sales/{saleId}/void: manager_needed": "managers alone may use it",
    "POST /api/pos/sales/{saleId}/void: not_your_shift": "managers alone may use it",
    "POST /api/pos/returns: manager_needed": "managers alone may use it",
    "POST /api/pos/gift-cards: id": "the sale in it has one, and the address",
    "POST /api/pos/quotes: key": "changes nothing",
    "TaxOut.tax_percent: float": "not money; it is computed with in millionths",
    "SaleLineOut.tax_percent: float": "not money; it is computed with in millionths",
}

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
    refused={**guesses.REFUSED, "wrong_location": forget_place},
    exempt=_EXEMPT,
)
