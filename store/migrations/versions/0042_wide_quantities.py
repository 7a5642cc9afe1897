"""Quantities, thresholds and sale lines have room for more than two thousand million: for databases
that were there before 0041 gave it to new ones, where this finds nothing to do."""

from __future__ import annotations

from alembic import op

revision = "0042_wide_quantities"
down_revision = "0041_cards"
branch_labels = None
depends_on = None
CONTRACTS = "nothing is released yet that would run beside it"

_WIDENED = {
    "products": {"backorder_limit": "bigint"},
    "bundle_components": {"quantity": "bigint"},
    "stock_levels": {"low_stock_threshold": "bigint"},
    "reservations": {"quantities": "bigint[]"},
    "stock_transfers": {"quantities": "bigint[]"},
    "pos_sale_lines": {"quantity": "bigint", "returned": "bigint"},
    "pos_return_lines": {"quantity": "bigint"},
}


def upgrade() -> None:
    # Each table is written anew. All of them or none, and nothing before all can be had: a lock
    # that is missed at the last would throw away what was written for the others.
    op.execute(f"LOCK TABLE {', '.join(_WIDENED)} IN ACCESS EXCLUSIVE MODE")
    for table, columns in _WIDENED.items():
        changes = (f"ALTER COLUMN {column} TYPE {kind}" for column, kind in columns.items())
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
