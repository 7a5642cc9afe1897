"""What has changed since a moment is found by an index."""

from __future__ import annotations

from alembic import op

from store.kit.schema import index_concurrently

revision = "0055_changes_are_found"
down_revision = "0054_changes_are_stamped"
branch_labels = None
depends_on = None

_STAMPED = ("products", "pos_sales", "stock_transfers", "purchase_orders")
_VERSIONED = (
    *("locations", "tax_classes", "tax_rates", "suppliers"),
    *("customer_groups", "customers"),
)


def upgrade() -> None:
    for table in _STAMPED:
        index_concurrently(op, f"ix_{table}_changed", f"ON {table} (tenant_id, changed_at, id)")
    for table in _VERSIONED:
        index_concurrently(op, f"ix_{table}_changed", f"ON {table} (tenant_id, updated_at, id)")
