"""The till: registers, shifts, sales, returns, gift cards, parked sales."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from store.kit.schema import wall

revision = "0009_till"
down_revision = "0008_catalog_items"
branch_labels = None
depends_on = None

# Written by the shard hosts alone.
_AGGREGATES = (
    "pos_registers",
    "pos_shifts",
    "pos_cash_movements",
    "pos_receipts",
    "pos_sales",
    "pos_sale_lines",
    "pos_payments",
    "pos_returns",
    "pos_return_lines",
    "pos_refunds",
    "gift_cards",
    "gift_card_movements",
)


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
    _gift_cards()
    _gift_card_movements()
    _pos_parked_sales()
    for table in _AGGREGATES:
        wall(op, table, app="SELECT")
    wall(op, "pos_parked_sales", app="SELECT, INSERT, DELETE")


def _pos_registers() -> None:
    op.create_table(
        "pos_registers",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("location_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("discount_limit_percent", sa.Integer, nullable=False),
        sa.Column("next_receipt_number", sa.BigInteger, nullable=False),
        sa.Column("shifts", sa.Integer, nullable=False),
        sa.Column("shift_id", sa.Uuid),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pos_registers"),
        sa.CheckConstraint("next_receipt_number > 0", name="receipts_count_from_one"),
        sa.CheckConstraint(
            "discount_limit_percent BETWEEN 0 AND 100", name="discount_limit_percent"
        ),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(
        "ix_pos_registers_tenant_id",
        "pos_registers",
        ["tenant_id"],
        postgresql_where=sa.text("NOT removed"),
    )


def _pos_shifts() -> None:
    op.create_table(
        "pos_shifts",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("register_id", sa.Uuid, nullable=False),
        sa.Column("location_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("opened_by", sa.Text, nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opening_float_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("expected_minor", sa.BigInteger, nullable=False),
        sa.Column("totals", JSONB, nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("closed_by", sa.Text),
        sa.Column("counted_minor", sa.BigInteger),
        sa.Column("counts", JSONB),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_pos_shifts"),
        sa.UniqueConstraint("register_id", "number"),
        sa.CheckConstraint("expected_minor >= 0", name="drawer_not_negative"),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (counted_minor IS NULL)", name="counted_when_closed"
        ),
        sa.CheckConstraint("counted_minor >= 0", name="counted_not_negative"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(
        "uq_pos_shifts_open",
        "pos_shifts",
        ["register_id"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )


def _pos_cash_movements() -> None:
    op.create_table(
        "pos_cash_movements",
        sa.Column("register_id", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("shift_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("register_id", "sequence", name="pk_pos_cash_movements"),
        sa.CheckConstraint("kind IN ('paid_in', 'paid_out', 'no_sale')", name="kind_known"),
        sa.CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
    )
    op.create_index(
        "ix_pos_cash_movements_shift_id", "pos_cash_movements", ["shift_id", "sequence"]
    )


def _pos_receipts() -> None:
    op.create_table(
        "pos_receipts",
        sa.Column("register_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Uuid, nullable=False),
        sa.Column("shift_id", sa.Uuid, nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("register_id", "number", name="pk_pos_receipts"),
        sa.UniqueConstraint("subject_id"),
        sa.CheckConstraint("kind IN ('sale', 'return')", name="kind_known"),
    )


def _pos_sales() -> None:
    op.create_table(
        "pos_sales",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("location_id", sa.Uuid, nullable=False),
        sa.Column("register_id", sa.Uuid, nullable=False),
        sa.Column("shift_id", sa.Uuid, nullable=False),
        sa.Column("receipt_number", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column(
            "total_minor",
            sa.BigInteger,
            nullable=False,
            comment="Of all lines, tax included, without tips",
        ),
        sa.Column("tax_minor", sa.BigInteger, nullable=False),
        sa.Column("discount_minor", sa.BigInteger, nullable=False),
        sa.Column("tips_minor", sa.BigInteger, nullable=False),
        sa.Column("tendered_minor", sa.BigInteger, nullable=False),
        sa.Column("change_minor", sa.BigInteger, nullable=False),
        sa.Column("refunded_minor", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("prices_include_tax", sa.Boolean, nullable=False),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("note", sa.Text),
        sa.Column("reservation_id", sa.Uuid),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pos_sales"),
        sa.CheckConstraint("tendered_minor - change_minor = total_minor + tips_minor", name="paid"),
        sa.CheckConstraint(
            "status IN ('completed', 'partly_returned', 'returned', 'voided')", name="status_known"
        ),
        sa.CheckConstraint(
            "refunded_minor BETWEEN 0 AND total_minor + tips_minor", name="refunded_within_paid"
        ),
    )
    op.create_index("ix_pos_sales_newest", "pos_sales", ["tenant_id", "created_at", "id"])
    op.create_index("ix_pos_sales_register", "pos_sales", ["register_id", "receipt_number"])
    op.create_index("ix_pos_sales_shift_id", "pos_sales", ["shift_id"])


def _pos_sale_lines() -> None:
    op.create_table(
        "pos_sale_lines",
        sa.Column("sale_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("item_id", sa.Uuid, nullable=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger, nullable=False),
        sa.Column("discount_minor", sa.BigInteger, nullable=False),
        sa.Column("tax_rate_ppm", sa.Integer, nullable=False),
        sa.Column("tax_minor", sa.BigInteger, nullable=False),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        sa.Column(
            "parts", JSONB, nullable=False, comment="What left the shelf: [[item, quantity], ...]"
        ),
        sa.Column("card_id", sa.Uuid),
        sa.Column("returned", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("sale_id", "number", name="pk_pos_sale_lines"),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.CheckConstraint("returned BETWEEN 0 AND quantity", name="returned_within_sold"),
    )


def _pos_payments() -> None:
    op.create_table(
        "pos_payments",
        sa.Column("sale_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False, comment="Without the change"),
        sa.Column("reference", sa.Text),
        sa.Column("card_id", sa.Uuid),
        sa.Column("refunded_minor", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("sale_id", "number", name="pk_pos_payments"),
        sa.CheckConstraint(
            "method IN ('cash', 'card', 'gift_card', 'external')", name="method_known"
        ),
        sa.CheckConstraint(
            "refunded_minor BETWEEN 0 AND amount_minor", name="refunded_within_paid"
        ),
    )


def _pos_returns() -> None:
    op.create_table(
        "pos_returns",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("sale_id", sa.Uuid, comment="Null: without a receipt"),
        sa.Column("location_id", sa.Uuid, nullable=False),
        sa.Column("register_id", sa.Uuid, nullable=False),
        sa.Column("shift_id", sa.Uuid, nullable=False),
        sa.Column("receipt_number", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column(
            "total_minor",
            sa.BigInteger,
            nullable=False,
            comment="What was paid back, tips included",
        ),
        sa.Column("tax_minor", sa.BigInteger, nullable=False),
        sa.Column("tips_minor", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("void", sa.Boolean, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pos_returns"),
    )
    op.create_index("ix_pos_returns_sale_id", "pos_returns", ["sale_id"])
    op.create_index("ix_pos_returns_shift_id", "pos_returns", ["shift_id"])


def _pos_return_lines() -> None:
    op.create_table(
        "pos_return_lines",
        sa.Column("return_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("line_number", sa.Integer, nullable=False, comment="Of the sale's line"),
        sa.Column("item_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("restock", sa.Boolean, nullable=False),
        sa.Column("tax_rate_ppm", sa.Integer, nullable=False),
        sa.Column("tax_minor", sa.BigInteger, nullable=False),
        sa.Column("discount_minor", sa.BigInteger, nullable=False),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("return_id", "number", name="pk_pos_return_lines"),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
    )


def _pos_refunds() -> None:
    op.create_table(
        "pos_refunds",
        sa.Column("return_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("payment_number", sa.Integer),
        sa.Column("card_id", sa.Uuid),
        sa.Column("reference", sa.Text),
        sa.PrimaryKeyConstraint("return_id", "number", name="pk_pos_refunds"),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
    )


def _gift_cards() -> None:
    op.create_table(
        "gift_cards",
        sa.Column(
            "id", sa.Uuid, nullable=False, comment="A digest of the code, which is stored nowhere"
        ),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("last_four", sa.Text, nullable=False),
        sa.Column("initial_minor", sa.BigInteger, nullable=False),
        sa.Column("balance_minor", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gift_cards"),
        sa.CheckConstraint("balance_minor >= 0", name="balance_not_negative"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index("ix_gift_cards_tenant_id", "gift_cards", ["tenant_id"])


def _gift_card_movements() -> None:
    op.create_table(
        "gift_card_movements",
        sa.Column("card_id", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("delta_minor", sa.BigInteger, nullable=False),
        sa.Column("balance_minor", sa.BigInteger, nullable=False),
        sa.Column("source_id", sa.Uuid, nullable=False, comment="The sale or the return"),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("card_id", "sequence", name="pk_gift_card_movements"),
        sa.CheckConstraint(
            "kind IN ('issued', 'redeemed', 'refunded', 'returned')", name="kind_known"
        ),
    )


def _pos_parked_sales() -> None:
    op.create_table(
        "pos_parked_sales",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("location_id", sa.Uuid, nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("basket", JSONB, nullable=False, comment="The body of a quote, as it was sent"),
        sa.Column("parked_by", sa.Text, nullable=False),
        sa.Column(
            "parked_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pos_parked_sales"),
    )
    op.create_index(
        "ix_pos_parked_sales_location",
        "pos_parked_sales",
        ["tenant_id", "location_id", "parked_at"],
    )
