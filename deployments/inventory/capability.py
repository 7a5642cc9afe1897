"""What there is of each item, and where."""

from __future__ import annotations

from deployments.inventory.purchasing import items, suppliers
from deployments.inventory.purchasing import routes as purchasing
from deployments.inventory.stock import change_routes
from deployments.inventory.stock import routes as stock
from deployments.inventory.stock.lean import reserve
from deployments.inventory.transfers import routes as transfers
from deployments.kit.capability import Capability
from store.inventory.location_uses import LOCATION_USES

capability = Capability(
    "inventory",
    "/api/inventory",
    # Those of stock end in an id.
    (
        change_routes.router,
        transfers.router,
        suppliers.router,
        items.router,
        purchasing.router,
        stock.router,
    ),
    lean=(reserve,),
    location_uses=(LOCATION_USES,),
    exempt={
        "GET /api/inventory/suppliers/{supplierId}/items: page": "put as a whole, bounded there",
        "POST /api/inventory/counts: counted_twice": "the draft refuses a level named twice",
        "POST /api/inventory/transfers: same_location": "the draft refuses it, naming the field",
        "POST /api/inventory/purchase-orders: purchase_not_draft": "a new order has a new id",
        "POST /api/inventory/purchase-orders: purchase_changed": "a new order has a new id",
        "POST /api/inventory/reservations/{reservationId}/confirm: choose_variant": (
            "is refused as reservation_expired"
        ),
    },
)
