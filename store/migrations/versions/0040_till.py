"""The till: registers, shifts, sales, returns, parked sales."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.kit.schema import create_table, moment, of_tenant

revision = "0040_till"
down_revision = "0039_inventory"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _pos_registers()
    _pos_shifts()
    _pos_cash_movements()
    _pos_receipts()
    _pos_sales()
    _pos_sale_lines()
    _pos_payments()
    _pos_returns()
    _pos_return_lines()
    _pos_refunds()
    _pos_parked_sales()
    # Not valid: of a database that was older, what was deleted while it was in use stays as it is.
    op.create_foreign_key(
        None,
        "pos_registers",
        "locations",
        ["used_location_id"],
        ["live_id"],
        postgresql_not_valid=True,
    )


def _pos_registers() -> None:
    create_table(
        op,
        "pos_registers",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("location_id", Uuid, nullable=False),
        Column("name", Text, nullable=False),
        Column("discount_limit_percent", Integer, nullable=False),
        Column("next_receipt_number", BigInteger, nullable=False),
        Column("shifts", Integer, nullable=False),
        Column("shift_id", Uuid),
        Column("removed", Boolean, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        moment("updated_at"),
        Column(
            "used_location_id",
            Uuid,
            Computed(
                "CASE WHEN NOT removed AND location_id <> tenant_id THEN location_id END",
                persisted=True,
            ),
        ),
        CheckConstraint("discount_limit_percent BETWEEN 0 AND 100", name="discount_limit_percent"),
        CheckConstraint("next_receipt_number > 0", name="receipts_count_from_one"),
        Index(
            "ix_pos_registers_location",
            "tenant_id",
            "location_id",
            "name",
            "id",
            postgresql_where=text("NOT removed"),
        ),
        Index(
            "ix_pos_registers_name", "tenant_id", "name", "id", postgresql_where=text("NOT removed")
        ),
        Index(
            "ix_pos_registers_used_location_id",
            "used_location_id",
            postgresql_where=text("used_location_id IS NOT NULL"),
        ),
        postgresql_with={"fillfactor": "50"},
        info=of_tenant(app="SELECT"),
    )


def _pos_shifts() -> None:
    create_table(
        op,
        "pos_shifts",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("register_id", Uuid, nullable=False),
        Column("location_id", Uuid, nullable=False),
        Column("number", Integer, nullable=False),
        Column("opened_by", Text, nullable=False),
        moment("opened_at"),
        Column("opening_float_minor", BigInteger, nullable=False),
        Column("currency", CHAR(3), nullable=False),
        Column("expected_minor", BigInteger, nullable=False),
        Column("totals", JSONB, nullable=False),
        moment("closed_at", nullable=True),
        Column("closed_by", Text),
        Column("counted_minor", BigInteger),
        Column("counts", JSONB),
        Column("note", Text),
        CheckConstraint("expected_minor >= 0", name="drawer_not_negative"),
        CheckConstraint("counted_minor >= 0", name="counted_not_negative"),
        CheckConstraint(
            "(closed_at IS NULL) = (counted_minor IS NULL)", name="counted_when_closed"
        ),
        UniqueConstraint("register_id", "number"),
        Index("ix_pos_shifts_opened_by", "tenant_id", "opened_by", "register_id", "number"),
        Index(
            "uq_pos_shifts_open",
            "register_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
        postgresql_with={"fillfactor": "50"},
        info=of_tenant(app="SELECT"),
    )


def _pos_cash_movements() -> None:
    create_table(
        op,
        "pos_cash_movements",
        Column("register_id", Uuid, primary_key=True),
        Column("sequence", BigInteger, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("shift_id", Uuid, nullable=False),
        Column("kind", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("reason", Text),
        Column("created_by", Text, nullable=False),
        moment("occurred_at"),
        CheckConstraint("kind IN ('paid_in', 'paid_out', 'no_sale')", name="kind_known"),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        Index("ix_pos_cash_movements_shift_id", "shift_id", "sequence"),
        info=of_tenant(app="SELECT"),
    )


def _pos_receipts() -> None:
    create_table(
        op,
        "pos_receipts",
        Column("register_id", Uuid, primary_key=True),
        Column("number", BigInteger, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("kind", Text, nullable=False),
        Column("subject_id", Uuid, nullable=False),
        Column("shift_id", Uuid, nullable=False),
        moment("given_at"),
        CheckConstraint("kind IN ('sale', 'return')", name="kind_known"),
        UniqueConstraint("subject_id"),
        info=of_tenant(app="SELECT"),
    )


def _pos_sales() -> None:
    create_table(
        op,
        "pos_sales",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("location_id", Uuid, nullable=False),
        Column("register_id", Uuid, nullable=False),
        Column("shift_id", Uuid, nullable=False),
        Column("receipt_number", BigInteger, nullable=False),
        Column("status", Text, nullable=False),
        Column("currency", CHAR(3), nullable=False),
        Column(
            "total_minor",
            BigInteger,
            nullable=False,
            comment="Of all lines, tax included, without tips",
        ),
        Column("tax_minor", BigInteger, nullable=False),
        Column("discount_minor", BigInteger, nullable=False),
        Column("tips_minor", BigInteger, nullable=False),
        Column("tendered_minor", BigInteger, nullable=False),
        Column("change_minor", BigInteger, nullable=False),
        Column("refunded_minor", BigInteger, nullable=False, server_default=text("0")),
        Column("prices_include_tax", Boolean, nullable=False),
        Column("customer_id", Uuid),
        Column("note", Text),
        Column("reservation_id", Uuid),
        Column("created_by", Text, nullable=False),
        moment("created_at"),
        Column("sequence", BigInteger, nullable=False),
        Column(
            "client_sale_id", Uuid, comment="Of a sale that was made offline: the register's own"
        ),
        Column("offline_number", Text, comment="On the paper that the register printed"),
        Column("upload_digest", LargeBinary, comment="Of what the register said of the sale"),
        Column("uploaded_by", Text),
        moment("uploaded_at", nullable=True),
        CheckConstraint(
            "num_nulls(client_sale_id, upload_digest, uploaded_by, uploaded_at) IN (0, 4)",
            name="offline_as_a_whole",
        ),
        CheckConstraint(
            "status IN ('completed', 'partly_returned', 'returned', 'voided')", name="status_known"
        ),
        CheckConstraint("tendered_minor - change_minor = total_minor + tips_minor", name="paid"),
        CheckConstraint(
            "refunded_minor BETWEEN 0 AND total_minor + tips_minor", name="refunded_within_paid"
        ),
        Index("ix_pos_sales_cashier", "tenant_id", "created_by", "created_at", "id"),
        Index("ix_pos_sales_location", "tenant_id", "location_id", "created_at", "id"),
        Index("ix_pos_sales_newest", "tenant_id", "created_at", "id"),
        Index(
            "ix_pos_sales_offline",
            "tenant_id",
            "created_at",
            "id",
            postgresql_where=text("client_sale_id IS NOT NULL"),
        ),
        Index("ix_pos_sales_register", "register_id", "receipt_number"),
        Index("ix_pos_sales_register_newest", "register_id", "created_at", "id"),
        Index("ix_pos_sales_shift", "shift_id", "created_at", "id"),
        info=of_tenant(app="SELECT"),
    )


def _pos_sale_lines() -> None:
    create_table(
        op,
        "pos_sale_lines",
        Column("sale_id", Uuid, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("item_id", Uuid, nullable=False),
        Column("product_id", Uuid, nullable=False),
        Column("name", Text, nullable=False),
        Column("sku", Text, nullable=False),
        Column("quantity", BigInteger, nullable=False),
        Column("unit_price_minor", BigInteger, nullable=False),
        Column("discount_minor", BigInteger, nullable=False),
        Column("tax_rate_ppm", Integer, nullable=False),
        Column("tax_minor", BigInteger, nullable=False),
        Column("total_minor", BigInteger, nullable=False),
        Column(
            "parts", JSONB, nullable=False, comment="What left the shelf: [[item, quantity], ...]"
        ),
        Column("card_id", Uuid),
        Column("returned", BigInteger, nullable=False, server_default=text("0")),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("returned BETWEEN 0 AND quantity", name="returned_within_sold"),
        info=of_tenant(app="SELECT"),
    )


def _pos_payments() -> None:
    create_table(
        op,
        "pos_payments",
        Column("sale_id", Uuid, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("method", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False, comment="Without the change"),
        Column("reference", Text),
        Column("card_id", Uuid),
        Column("refunded_minor", BigInteger, nullable=False, server_default=text("0")),
        CheckConstraint("method IN ('cash', 'card', 'gift_card', 'external')", name="method_known"),
        CheckConstraint("refunded_minor BETWEEN 0 AND amount_minor", name="refunded_within_paid"),
        info=of_tenant(app="SELECT"),
    )


def _pos_returns() -> None:
    create_table(
        op,
        "pos_returns",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("sale_id", Uuid, comment="Null: without a receipt"),
        Column("location_id", Uuid, nullable=False),
        Column("register_id", Uuid, nullable=False),
        Column("shift_id", Uuid, nullable=False),
        Column("receipt_number", BigInteger, nullable=False),
        Column("currency", CHAR(3), nullable=False),
        Column(
            "total_minor", BigInteger, nullable=False, comment="What was paid back, tips included"
        ),
        Column("tax_minor", BigInteger, nullable=False),
        Column("tips_minor", BigInteger, nullable=False),
        Column("reason", Text),
        Column("void", Boolean, nullable=False),
        Column("created_by", Text, nullable=False),
        moment("created_at"),
        Index("ix_pos_returns_sale", "sale_id", "created_at", "id"),
        Index("ix_pos_returns_shift_id", "shift_id"),
        info=of_tenant(app="SELECT"),
    )


def _pos_return_lines() -> None:
    create_table(
        op,
        "pos_return_lines",
        Column("return_id", Uuid, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("line_number", Integer, nullable=False, comment="Of the sale's line"),
        Column("item_id", Uuid, nullable=False),
        Column("name", Text, nullable=False),
        Column("sku", Text, nullable=False),
        Column("quantity", BigInteger, nullable=False),
        Column("restock", Boolean, nullable=False),
        Column("tax_rate_ppm", Integer, nullable=False),
        Column("tax_minor", BigInteger, nullable=False),
        Column("discount_minor", BigInteger, nullable=False),
        Column("total_minor", BigInteger, nullable=False),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        info=of_tenant(app="SELECT"),
    )


def _pos_refunds() -> None:
    create_table(
        op,
        "pos_refunds",
        Column("return_id", Uuid, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("method", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("payment_number", Integer),
        Column("card_id", Uuid),
        Column("reference", Text),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        info=of_tenant(app="SELECT"),
    )


def _pos_parked_sales() -> None:
    create_table(
        op,
        "pos_parked_sales",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("location_id", Uuid, nullable=False),
        Column("label", Text),
        Column("basket", JSONB, nullable=False, comment="The body of a quote, as it was sent"),
        Column("parked_by", Text, nullable=False),
        moment("parked_at", server_default=func.now()),
        Index("ix_pos_parked_sales_location", "tenant_id", "location_id", "parked_at"),
        Index("ix_pos_parked_sales_oldest", "tenant_id", "parked_at", "id"),
        info=of_tenant(app="SELECT, INSERT, DELETE"),
    )
