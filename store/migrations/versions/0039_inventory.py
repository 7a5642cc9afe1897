"""Stock per item and location, its holds and its ledger; transfers, suppliers, purchase orders."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    ARRAY,
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.kit.schema import APP_ROLE, PUBLIC, TENANT, create_table, function_for, moment, of_tenant

revision = "0039_inventory"
down_revision = "0038_catalog_functions"
branch_labels = None
depends_on = None

_LIVE = text("deleted_at IS NULL")
# What GET /api/inventory/{productId} tells everyone may also be listed for everyone.
_PUBLIC_LEVELS = f"""{PUBLIC} AND NOT EXISTS (
  SELECT FROM stock_items i WHERE i.product_id = stock_levels.product_id AND i.discontinued)"""

# Newest first: ids are UUIDv7. What the row-level policy would show, and by index.
_OF_ITEM = f"""
CREATE FUNCTION purchase_orders_of(item uuid, most integer)
RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT id FROM purchase_orders
  WHERE item_ids @> ARRAY[item] AND tenant_id = {TENANT} ORDER BY id DESC LIMIT most
$$"""  # noqa: S608 - our own names


def upgrade() -> None:
    _stock_items()
    _stock_levels()
    _reservations()
    _stock_movements()
    _stock_transfers()
    _suppliers()
    _supplier_items()
    _purchase_orders()
    # Not valid: of a database that was older, what was deleted while it was in use stays as it is.
    for table in ("stock_levels", "stock_transfers"):
        op.create_foreign_key(
            None, table, "locations", ["used_location_id"], ["live_id"], postgresql_not_valid=True
        )
    function_for(op, APP_ROLE, "purchase_orders_of(uuid, integer)", _OF_ITEM)


def _stock_items() -> None:
    create_table(
        op,
        "stock_items",
        Column("product_id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("discontinued", Boolean, nullable=False),
        Column("backorder_limit", BigInteger, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        moment("updated_at"),
        Column(
            "parent",
            Boolean,
            nullable=False,
            server_default=text("false"),
            comment="Has variants: takes in and promises nothing itself",
        ),
        CheckConstraint("backorder_limit >= 0", name="backorder_limit_not_negative"),
        info=of_tenant(app="SELECT", public=PUBLIC),
    )


def _stock_levels() -> None:
    create_table(
        op,
        "stock_levels",
        Column("product_id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("on_hand", BigInteger, nullable=False),
        Column("reserved", BigInteger, nullable=False),
        Column("low_stock_threshold", BigInteger, nullable=False),
        Column("low", Boolean, nullable=False, comment="available < low_stock_threshold"),
        Column("sequence", BigInteger, nullable=False),
        moment("updated_at"),
        Column("location_id", Uuid, primary_key=True),
        Column(
            "incoming",
            BigInteger,
            nullable=False,
            comment="Ordered or on its way, and not there yet",
        ),
        Column(
            "floor",
            BigInteger,
            nullable=False,
            comment="Least that may be available: -backorder_limit, or where a count left it",
        ),
        moment("counted_at", nullable=True, comment="Moment of the latest count"),
        Column(
            "used_location_id",
            Uuid,
            Computed(
                "CASE WHEN location_id <> tenant_id"
                " AND (on_hand <> 0 OR reserved <> 0 OR incoming <> 0) THEN location_id END",
                persisted=True,
            ),
        ),
        CheckConstraint("reserved >= 0", name="reserved_not_negative"),
        CheckConstraint("incoming >= 0", name="incoming_not_negative"),
        CheckConstraint("on_hand - reserved >= floor", name="available_above_floor"),
        Index("ix_stock_levels_low", "tenant_id", "location_id", postgresql_where=text("low")),
        Index(
            "ix_stock_levels_used_location_id",
            "used_location_id",
            postgresql_where=text("used_location_id IS NOT NULL"),
        ),
        postgresql_with={"fillfactor": "50"},
        info=of_tenant(app="SELECT", public=_PUBLIC_LEVELS),
    )


def _reservations() -> None:
    create_table(
        op,
        "reservations",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("shard", Integer, nullable=False),
        Column("status", Text, nullable=False),
        Column("product_ids", ARRAY(Uuid), nullable=False),
        Column("quantities", ARRAY(BigInteger), nullable=False),
        Column("reference", Text),
        Column("created_by", Text, nullable=False),
        moment("created_at"),
        moment("expires_at"),
        Column("sequence", BigInteger, nullable=False),
        Column("location_id", Uuid, nullable=False),
        CheckConstraint(
            "status IN ('open', 'confirmed', 'released', 'expired')", name="status_known"
        ),
        CheckConstraint("cardinality(product_ids) = cardinality(quantities)", name="lines_paired"),
        CheckConstraint("0 < ALL (quantities)", name="quantities_positive"),
        Index(
            "ix_reservations_due", "shard", "expires_at", postgresql_where=text("status = 'open'")
        ),
        Index("ix_reservations_location", "tenant_id", "location_id", "id"),
        Index("ix_reservations_newest", "tenant_id", "id"),
        Index(
            "ix_reservations_open_holds",
            "tenant_id",
            "created_by",
            "id",
            postgresql_where=text("status = 'open'"),
        ),
        Index("ix_reservations_status", "tenant_id", "status", "id"),
        info=of_tenant(app="SELECT"),
    )


def _stock_movements() -> None:
    create_table(
        op,
        "stock_movements",
        Column("product_id", Uuid, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("tenant_id", Uuid, nullable=False),
        Column("kind", Text, nullable=False),
        Column("on_hand_delta", BigInteger, nullable=False),
        Column("reserved_delta", BigInteger, nullable=False),
        Column("on_hand_after", BigInteger, nullable=False),
        Column("reserved_after", BigInteger, nullable=False),
        Column("reason", Text),
        Column("reference", Text),
        Column("reservation_id", Uuid),
        Column("command_id", Uuid, nullable=False),
        Column("created_by", Text, nullable=False),
        moment("occurred_at"),
        Column("location_id", Uuid, nullable=False),
        Column("incoming_delta", BigInteger, nullable=False),
        Column("incoming_after", BigInteger, nullable=False),
        moment("recorded_at"),
        PrimaryKeyConstraint("product_id", "location_id", "sequence"),
        Index(
            "ix_stock_movements_late",
            "product_id",
            "location_id",
            "sequence",
            postgresql_include=["occurred_at", "on_hand_delta"],
            postgresql_where=text("occurred_at < recorded_at"),
        ),
        Index(
            "ix_stock_movements_occurred", "product_id", "location_id", "occurred_at", "sequence"
        ),
        Index(
            "ix_stock_movements_reserved",
            "product_id",
            "reservation_id",
            postgresql_where=text("kind = 'reserved'"),
        ),
        info=of_tenant(app="SELECT"),
    )


def _stock_transfers() -> None:
    create_table(
        op,
        "stock_transfers",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("from_location_id", Uuid, nullable=False),
        Column("to_location_id", Uuid, nullable=False),
        Column("status", Text, nullable=False),
        Column("product_ids", ARRAY(Uuid), nullable=False),
        Column("quantities", ARRAY(BigInteger), nullable=False),
        Column("reference", Text),
        Column("created_by", Text, nullable=False),
        moment("created_at"),
        moment("closed_at", nullable=True, comment="Received or cancelled"),
        Column("sequence", BigInteger, nullable=False),
        Column(
            "used_location_id",
            Uuid,
            Computed(
                "CASE WHEN status = 'in_transit' AND from_location_id <> tenant_id"
                " THEN from_location_id END",
                persisted=True,
            ),
        ),
        CheckConstraint("status IN ('in_transit', 'received', 'cancelled')", name="status_known"),
        CheckConstraint("cardinality(product_ids) = cardinality(quantities)", name="lines_paired"),
        CheckConstraint("0 < ALL (quantities)", name="quantities_positive"),
        CheckConstraint("from_location_id <> to_location_id", name="not_to_itself"),
        Index("ix_stock_transfers_from", "tenant_id", "from_location_id", "id"),
        Index("ix_stock_transfers_status", "tenant_id", "status", "id"),
        Index("ix_stock_transfers_tenant_id_id", "tenant_id", "id"),
        Index("ix_stock_transfers_to", "tenant_id", "to_location_id", "id"),
        Index(
            "ix_stock_transfers_used_location_id",
            "used_location_id",
            postgresql_where=text("used_location_id IS NOT NULL"),
        ),
        info=of_tenant(app="SELECT"),
    )


def _suppliers() -> None:
    create_table(
        op,
        "suppliers",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("name", String(255), nullable=False),
        Column("contact_name", String(255)),
        Column("email", String(254)),
        Column("phone", String(50)),
        Column("lead_time_days", Integer, nullable=False),
        Column("currency", CHAR(3), nullable=False),
        Column("notes", Text),
        Column("version", Integer, nullable=False),
        moment("created_at"),
        moment("updated_at"),
        moment("deleted_at", nullable=True),
        Column("sort_name", String(255), Computed("lower(name)", persisted=True), nullable=False),
        CheckConstraint("lead_time_days BETWEEN 0 AND 3650", name="lead_time_bounded"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("name <> ''", name="named"),
        UniqueConstraint("tenant_id", "id"),
        Index("ix_suppliers_sorted", "tenant_id", "sort_name", "id", postgresql_where=_LIVE),
        Index(
            "uq_suppliers_name",
            "tenant_id",
            text("lower(name)"),
            unique=True,
            postgresql_where=_LIVE,
        ),
        info=of_tenant(app="SELECT, INSERT, UPDATE"),
    )


def _supplier_items() -> None:
    create_table(
        op,
        "supplier_items",
        Column("supplier_id", Uuid, primary_key=True),
        Column("item_id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("supplier_sku", String(64)),
        Column("cost_minor", BigInteger),
        Column("lead_time_days", Integer, comment="null: the supplier's"),
        CheckConstraint("cost_minor >= 0", name="cost_not_negative"),
        CheckConstraint("lead_time_days BETWEEN 0 AND 3650", name="lead_time_bounded"),
        ForeignKeyConstraint(["tenant_id", "supplier_id"], ["suppliers.tenant_id", "suppliers.id"]),
        Index("ix_supplier_items_item", "item_id"),
        info=of_tenant(app="SELECT, INSERT, DELETE"),
    )


def _purchase_orders() -> None:
    create_table(
        op,
        "purchase_orders",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("supplier_id", Uuid, nullable=False),
        Column("location_id", Uuid, nullable=False),
        Column("currency", CHAR(3), nullable=False),
        Column("reference", Text),
        moment("expected_at", nullable=True),
        Column("status", Text, nullable=False),
        Column("lines", JSONB, nullable=False),
        Column("item_ids", ARRAY(Uuid), nullable=False),
        Column("created_by", Text, nullable=False),
        moment("created_at"),
        moment("ordered_at", nullable=True),
        moment("updated_at"),
        Column("sequence", BigInteger, nullable=False),
        CheckConstraint(
            "status IN ('draft', 'ordered', 'partly_received', 'received', 'cancelled')",
            name="status_known",
        ),
        CheckConstraint("jsonb_array_length(lines) = cardinality(item_ids)", name="lines_paired"),
        Index("ix_purchase_orders_items", "item_ids", postgresql_using="gin"),
        Index("ix_purchase_orders_newest", "tenant_id", "id"),
        Index("ix_purchase_orders_status", "tenant_id", "status", "id"),
        Index("ix_purchase_orders_supplier", "tenant_id", "supplier_id", "id"),
        info=of_tenant(app="SELECT", owner="SELECT"),
    )
