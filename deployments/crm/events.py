"""What is emitted of customers and their groups."""

from __future__ import annotations

from deployments.kit.events import record_events

CUSTOMER = record_events("crm.customer")
CUSTOMER_GROUP = record_events("crm.customer_group")
