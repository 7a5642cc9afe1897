"""What inventory emits of its master data; what owners decide is in `actors.stock.events`."""

from __future__ import annotations

from deployments.kit.events import record_events

SUPPLIER = record_events("inventory.supplier")
