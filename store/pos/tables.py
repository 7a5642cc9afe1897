"""Tables of the till. The shard hosts alone write registers, shifts, sales, returns and gift
cards; parked sales are plain SQL. Money is in minor units."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.kit.changes import stamped
from store.kit.schema import HISTORY, exempt, metadata, of_tenant, used


def _money(name: str, **options: Any) -> Column[int]:
    return Column(name, BigInteger, nullable=options.pop("nullable", False), **options)


def _measure() -> tuple[Column[Any], ...]:
    """What a line's quantities mean: steps of 10^-quantity_decimals of the unit."""
    return (
        Column("quantity_decimals", SmallInteger, nullable=False, server_default=text("0")),
        Column("unit", Text, nullable=False, server_default="piece"),
    )


def _moment(name: str, **options: Any) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=options.pop("nullable", False), **options)


pos_registers = Table(
    "pos_registers",
    metadata,
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
    _moment("updated_at"),
    *used(
        "used_location_id", "NOT removed AND location_id <> tenant_id", "locations", "location_id"
    ),
    CheckConstraint("discount_limit_percent BETWEEN 0 AND 100", name="discount_limit_percent"),
    CheckConstraint("next_receipt_number > 0", name="receipts_count_from_one"),
    Index("ix_pos_registers_name", "tenant_id", "name", "id", postgresql_where=text("NOT removed")),
    Index(
        "ix_pos_registers_location",
        "tenant_id",
        "location_id",
        "name",
        "id",
        postgresql_where=text("NOT removed"),
    ),
    postgresql_with={"fillfactor": "50"},
    info=of_tenant(app="SELECT"),
)

pos_shifts = Table(
    "pos_shifts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("register_id", Uuid, nullable=False),
    Column(
        "location_id", Uuid, nullable=False, info=exempt(no_use="its register keeps the location")
    ),
    Column("number", Integer, nullable=False),
    Column("opened_by", Text, nullable=False),
    _moment("opened_at"),
    _money("opening_float_minor"),
    Column("currency", CHAR(3), nullable=False),
    _money("expected_minor"),
    Column("totals", JSONB, nullable=False),
    _moment("closed_at", nullable=True),
    Column("closed_by", Text),
    _money("counted_minor", nullable=True),
    Column("counts", JSONB),
    Column("note", Text),
    _money(
        "cash_step_minor", server_default=text("1"), comment="What cash amounts are multiples of"
    ),
    UniqueConstraint("register_id", "number"),
    CheckConstraint("expected_minor >= 0", name="drawer_not_negative"),
    CheckConstraint("counted_minor >= 0", name="counted_not_negative"),
    CheckConstraint("(closed_at IS NULL) = (counted_minor IS NULL)", name="counted_when_closed"),
    Index(
        "uq_pos_shifts_open", "register_id", unique=True, postgresql_where=text("closed_at IS NULL")
    ),
    Index("ix_pos_shifts_opened_by", "tenant_id", "opened_by", "register_id", "number"),
    postgresql_with={"fillfactor": "50"},
    info=of_tenant(app="SELECT"),
)

pos_cash_movements = Table(
    "pos_cash_movements",
    metadata,
    Column("register_id", Uuid, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("shift_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    _money("amount_minor"),
    Column("reason", Text),
    Column("created_by", Text, nullable=False),
    _moment("occurred_at"),
    CheckConstraint("kind IN ('paid_in', 'paid_out', 'no_sale')", name="kind_known"),
    CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
    Index("ix_pos_cash_movements_shift_id", "shift_id", "sequence"),
    info=of_tenant(app="SELECT"),
)

# One row for each number that a register has given: the key is what keeps two from being the
# same, and a count what shows that none is missing.
pos_receipts = Table(
    "pos_receipts",
    metadata,
    Column("register_id", Uuid, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("shift_id", Uuid, nullable=False),
    _moment("given_at"),
    UniqueConstraint("subject_id"),
    CheckConstraint("kind IN ('sale', 'return')", name="kind_known"),
    info=of_tenant(app="SELECT"),
)

pos_sales = Table(
    "pos_sales",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("location_id", Uuid, nullable=False, info=HISTORY),
    Column("register_id", Uuid, nullable=False),
    Column("shift_id", Uuid, nullable=False),
    Column("receipt_number", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    _money("total_minor", comment="Of all lines, tax included, without tips"),
    _money("tax_minor"),
    _money("discount_minor"),
    _money("tips_minor"),
    _money("tendered_minor"),
    _money("change_minor"),
    _money("refunded_minor", server_default=text("0")),
    Column("prices_include_tax", Boolean, nullable=False),
    Column("customer_id", Uuid),
    Column("note", Text),
    Column("reservation_id", Uuid),
    Column("created_by", Text, nullable=False),
    _moment("created_at"),
    Column("sequence", BigInteger, nullable=False),
    Column("client_sale_id", Uuid, comment="Of a sale that was made offline: the register's own"),
    Column("offline_number", Text, comment="On the paper that the register printed"),
    Column("upload_digest", LargeBinary, comment="Of what the register said of the sale"),
    Column("uploaded_by", Text),
    _moment("uploaded_at", nullable=True),
    *stamped("pos_sales"),
    Column("tax_exemption", Text, comment="Why the customer paid no tax; null: it was due"),
    ForeignKeyConstraint(["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"]),
    _money(
        "rounding_minor",
        server_default=text("0"),
        comment="How much more was paid than was due, for want of smaller coins",
    ),
    Column(
        "clock_ahead_ms",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="How fast the clock of the register was by which it was sold",
    ),
    CheckConstraint(
        "num_nulls(client_sale_id, upload_digest, uploaded_by, uploaded_at) IN (0, 4)",
        name="offline_as_a_whole",
    ),
    CheckConstraint(
        "status IN ('completed', 'partly_returned', 'returned', 'voided')", name="status_known"
    ),
    CheckConstraint(
        "tendered_minor - change_minor = total_minor + tips_minor + rounding_minor", name="paid"
    ),
    CheckConstraint(
        "refunded_minor BETWEEN 0 AND total_minor + tips_minor + rounding_minor",
        name="refunded_within_paid",
    ),
    Index("ix_pos_sales_newest", "tenant_id", "created_at", "id"),
    Index("ix_pos_sales_register", "register_id", "receipt_number"),
    Index("ix_pos_sales_location", "tenant_id", "location_id", "created_at", "id"),
    Index("ix_pos_sales_register_newest", "register_id", "created_at", "id"),
    Index("ix_pos_sales_shift", "shift_id", "created_at", "id"),
    Index(
        "ix_pos_sales_customer",
        "tenant_id",
        "customer_id",
        "created_at",
        "id",
        postgresql_where=text("customer_id IS NOT NULL"),
    ),
    Index("ix_pos_sales_cashier", "tenant_id", "created_by", "created_at", "id"),
    Index(
        "ix_pos_sales_offline",
        "tenant_id",
        "created_at",
        "id",
        postgresql_where=text("client_sale_id IS NOT NULL"),
    ),
    info=of_tenant(app="SELECT"),
)

pos_sale_lines = Table(
    "pos_sale_lines",
    metadata,
    Column("sale_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("item_id", Uuid, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    _money("unit_price_minor"),
    _money("discount_minor"),
    Column("tax_rate_ppm", Integer, nullable=False),
    _money("tax_minor"),
    _money("total_minor"),
    Column("parts", JSONB, nullable=False, comment="What left the shelf: [[item, quantity], ...]"),
    Column("card_id", Uuid),
    Column("returned", BigInteger, nullable=False, server_default=text("0")),
    *_measure(),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    CheckConstraint("returned BETWEEN 0 AND quantity", name="returned_within_sold"),
    info=of_tenant(app="SELECT"),
)

pos_payments = Table(
    "pos_payments",
    metadata,
    Column("sale_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("method", Text, nullable=False),
    _money("amount_minor", comment="Without the change"),
    Column("reference", Text),
    Column("card_id", Uuid),
    _money("refunded_minor", server_default=text("0")),
    CheckConstraint("method IN ('cash', 'card', 'gift_card', 'external')", name="method_known"),
    CheckConstraint("refunded_minor BETWEEN 0 AND amount_minor", name="refunded_within_paid"),
    info=of_tenant(app="SELECT"),
)

pos_returns = Table(
    "pos_returns",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("sale_id", Uuid, comment="Null: without a receipt"),
    Column("location_id", Uuid, nullable=False, info=HISTORY),
    Column("register_id", Uuid, nullable=False),
    Column("shift_id", Uuid, nullable=False),
    Column("receipt_number", BigInteger, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    _money("total_minor", comment="What was paid back, tips included"),
    _money("tax_minor"),
    _money("tips_minor"),
    Column("reason", Text),
    Column("void", Boolean, nullable=False),
    Column("created_by", Text, nullable=False),
    _moment("created_at"),
    Index("ix_pos_returns_sale", "sale_id", "created_at", "id"),
    Index("ix_pos_returns_shift_id", "shift_id"),
    info=of_tenant(app="SELECT"),
)

pos_return_lines = Table(
    "pos_return_lines",
    metadata,
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
    _money("tax_minor"),
    _money("discount_minor"),
    _money("total_minor"),
    Column("restocked_as", Uuid, comment="The variant that it went onto the shelf as"),
    *_measure(),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    info=of_tenant(app="SELECT"),
)

pos_refunds = Table(
    "pos_refunds",
    metadata,
    Column("return_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("method", Text, nullable=False),
    _money("amount_minor"),
    Column("payment_number", Integer),
    Column("card_id", Uuid),
    Column("reference", Text),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
    info=of_tenant(app="SELECT"),
)

gift_cards = Table(
    "gift_cards",
    metadata,
    Column("id", Uuid, primary_key=True, comment="A digest of the code, which is stored nowhere"),
    Column("tenant_id", Uuid, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("last_four", Text, nullable=False),
    _money("initial_minor"),
    _money("balance_minor"),
    _moment("expires_at", nullable=True),
    Column("disabled", Boolean, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    _moment("updated_at"),
    CheckConstraint("balance_minor >= 0", name="balance_not_negative"),
    Index("ix_gift_cards_tenant_id", "tenant_id"),
    postgresql_with={"fillfactor": "50"},
    info=of_tenant(app="SELECT"),
)

gift_card_movements = Table(
    "gift_card_movements",
    metadata,
    Column("card_id", Uuid, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    _money("delta_minor"),
    _money("balance_minor"),
    Column("source_id", Uuid, nullable=False, comment="The sale or the return"),
    _moment("occurred_at"),
    CheckConstraint("kind IN ('issued', 'redeemed', 'refunded', 'returned')", name="kind_known"),
    info=of_tenant(app="SELECT"),
)

pos_parked_sales = Table(
    "pos_parked_sales",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column(
        "location_id", Uuid, nullable=False, info=exempt(no_use="what is put aside holds no goods")
    ),
    Column("label", Text, info=exempt(no_bound="bounded by its body")),
    Column("basket", JSONB, nullable=False, comment="The body of a quote, as it was sent"),
    Column("parked_by", Text, nullable=False, info=exempt(no_bound="the id of a principal")),
    _moment("parked_at", server_default=func.now()),
    Column("customer_id", Uuid),
    ForeignKeyConstraint(["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"]),
    Index("ix_pos_parked_sales_location", "tenant_id", "location_id", "parked_at"),
    Index("ix_pos_parked_sales_oldest", "tenant_id", "parked_at", "id"),
    info=of_tenant(app="SELECT, INSERT, DELETE"),
)
