"""Indexes that another one begins with: what it costs to keep them serves nobody."""

from __future__ import annotations

from alembic import op

from store.kit.schema import drop_index_concurrently

revision = "0028_spared_indexes"
down_revision = "0027_till_prices"
branch_labels = None
depends_on = None

# By what is there instead.
_SPARED = {
    "ix_pos_sales_shift": "ix_pos_sales_shift_id",
    "ix_pos_returns_sale": "ix_pos_returns_sale_id",
    "ix_pos_registers_name": "ix_pos_registers_tenant_id",
    "ix_access_keys_newest": "ix_access_keys_tenant_id",
    "ix_memberships_mine": "ix_memberships_user_id",
}


def upgrade() -> None:
    for name in _SPARED.values():
        drop_index_concurrently(op, name)
