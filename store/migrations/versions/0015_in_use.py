"""What is in use cannot be deleted, and what is deleted not used: locations and tax classes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015_in_use"
down_revision = "0014_parents"
branch_labels = None
depends_on = None

_STOCKED = "location_id <> tenant_id AND (on_hand <> 0 OR reserved <> 0 OR incoming <> 0)"
# Table, what it uses, while what holds, and the column that says which one.
_USES = (
    ("stock_levels", "locations", _STOCKED, "location_id"),
    (
        "stock_transfers",
        "locations",
        "status = 'in_transit' AND from_location_id <> tenant_id",
        "from_location_id",
    ),
    ("pos_registers", "locations", "NOT removed AND location_id <> tenant_id", "location_id"),
    ("products", "tax_classes", "deleted_at IS NULL", "tax_class_id"),
    ("product_variants", "tax_classes", "deleted_at IS NULL", "tax_class_id"),
)


def upgrade() -> None:
    for table in ("locations", "tax_classes"):
        live = sa.Computed("CASE WHEN deleted_at IS NULL THEN id END", persisted=True)
        op.add_column(table, sa.Column("live_id", sa.Uuid(), live))
        op.create_unique_constraint(f"uq_{table}_live_id", table, ["live_id"])
    for table, used, condition, of in _USES:
        name = "used_location_id" if used == "locations" else "used_tax_class_id"
        value = sa.Computed(f"CASE WHEN {condition} THEN {of} END", persisted=True)
        op.add_column(table, sa.Column(name, sa.Uuid(), value))
        present = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_{table}_{name}", table, [name], postgresql_where=present)
        # Not valid: what was deleted while it was in use stays as it is, and may be cleared away.
        op.create_foreign_key(
            f"fk_{table}_{name}_{used}",
            table,
            used,
            [name],
            ["live_id"],
            postgresql_not_valid=True,
        )
