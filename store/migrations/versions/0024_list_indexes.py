"""What lists and counts walk: an index for each order, built while everybody goes on."""

from __future__ import annotations

from alembic import op

from store.kit.schema import index_concurrently

revision = "0024_list_indexes"
down_revision = "0023_list_counts"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_stock_movements_occurred": (
        "ON stock_movements (product_id, location_id, occurred_at, sequence)"
    ),
    "ix_stock_movements_late": (
        "ON stock_movements (product_id, location_id, sequence)"
        " INCLUDE (occurred_at, on_hand_delta) WHERE occurred_at < recorded_at"
    ),
    "ix_stock_movements_reserved": (
        "ON stock_movements (product_id, reservation_id) WHERE kind = 'reserved'"
    ),
    "ix_reservations_newest": "ON reservations (tenant_id, id)",
    "ix_reservations_status": "ON reservations (tenant_id, status, id)",
    "ix_reservations_location": "ON reservations (tenant_id, location_id, id)",
    "ix_stock_transfers_status": "ON stock_transfers (tenant_id, status, id)",
    "ix_stock_transfers_from": "ON stock_transfers (tenant_id, from_location_id, id)",
    "ix_stock_transfers_to": "ON stock_transfers (tenant_id, to_location_id, id)",
    "ix_purchase_orders_status": "ON purchase_orders (tenant_id, status, id)",
    "ix_purchase_orders_supplier": "ON purchase_orders (tenant_id, supplier_id, id)",
    "ix_purchase_orders_items": "ON purchase_orders USING gin (item_ids)",
    "ix_pos_registers_name": "ON pos_registers (tenant_id, name, id) WHERE NOT removed",
    "ix_pos_registers_location": (
        "ON pos_registers (tenant_id, location_id, name, id) WHERE NOT removed"
    ),
    "ix_pos_shifts_opened_by": "ON pos_shifts (tenant_id, opened_by, register_id, number)",
    "ix_pos_sales_location": "ON pos_sales (tenant_id, location_id, created_at, id)",
    "ix_pos_sales_register_newest": "ON pos_sales (register_id, created_at, id)",
    "ix_pos_sales_shift": "ON pos_sales (shift_id, created_at, id)",
    "ix_pos_sales_cashier": "ON pos_sales (tenant_id, created_by, created_at, id)",
    "ix_pos_sales_offline": (
        "ON pos_sales (tenant_id, created_at, id) WHERE client_sale_id IS NOT NULL"
    ),
    "ix_pos_parked_sales_oldest": "ON pos_parked_sales (tenant_id, parked_at, id)",
    "ix_pos_returns_sale": "ON pos_returns (sale_id, created_at, id)",
    "ix_card_refunds_open": (
        "ON card_refunds (tenant_id, created_at, id) WHERE refunded_at IS NULL"
    ),
    "ix_suppliers_sorted": "ON suppliers (tenant_id, sort_name, id) WHERE deleted_at IS NULL",
    "ix_audit_log_actor": "ON audit_log (tenant_id, actor_id, at, id)",
    "ix_audit_log_action": "ON audit_log (tenant_id, action, at, id)",
    "ix_access_keys_newest": "ON access_keys (tenant_id, user_id, created_at, id)",
    "ix_access_keys_service": ("ON access_keys (tenant_id, created_at, id) WHERE user_id IS NULL"),
    "ix_memberships_joined": "ON memberships (tenant_id, created_at, user_id)",
    "ix_users_newest": "ON users (created_at, id)",
    "ix_users_role": "ON users (role, created_at, id)",
    "ix_users_disabled": "ON users (created_at, id) WHERE disabled_at IS NOT NULL",
    "ix_locations_oldest": "ON locations (tenant_id, created_at, id) WHERE deleted_at IS NULL",
    "ix_tax_classes_oldest": "ON tax_classes (tenant_id, created_at, id) WHERE deleted_at IS NULL",
    "ix_tax_rates_newest": (
        "ON tax_rates (tenant_id, tax_class_id, valid_from, id) WHERE deleted_at IS NULL"
    ),
}


def upgrade() -> None:
    for name, definition in _INDEXES.items():
        index_concurrently(op, name, definition)
