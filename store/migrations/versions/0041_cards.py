"""Gift cards, card payments, refunds that are owed, and the sandbox provider's own ledger.

Here the baseline ends: the schema is that of a database at 0032_composed_codes, which was the last
migration before. Such a database is taken to stand here (`REPLACES`, see `store.kit.migrate`) and
goes on with 0042, which widens its quantities; in the baseline they are wide from the start.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from store.kit.schema import APP_ROLE, create_table, function_for, moment, of_nobody, of_tenant

revision = "0041_cards"
down_revision = "0040_till"
branch_labels = None
depends_on = None
REPLACES = "0032_composed_codes"

# A worker looks for what waits in any business. The function runs as the schema's owner, whose
# policies are `true`, and gives ids alone: the work is done under the policies of its tenant.
_CLAIM = """
CREATE FUNCTION claim_card_work(seconds double precision, most integer)
RETURNS TABLE (tenant_id uuid, id uuid, number integer)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH payments AS (
    SELECT p.id FROM card_payments p
    WHERE p.status IN ('charging', 'charged', 'refunding') AND p.claimed_until <= now()
    ORDER BY p.claimed_until LIMIT most FOR UPDATE SKIP LOCKED),
  refunds AS (
    SELECT r.return_id, r.number FROM card_refunds r
    WHERE r.refunded_at IS NULL AND r.dead_at IS NULL AND r.claimed_until <= now()
    ORDER BY r.claimed_until LIMIT most FOR UPDATE SKIP LOCKED),
  held_payments AS (
    UPDATE card_payments p SET attempts = p.attempts + 1,
      claimed_until = now() + make_interval(secs => seconds * power(2, least(p.attempts, 5)))
    FROM payments w WHERE p.id = w.id RETURNING p.tenant_id, p.id),
  held_refunds AS (
    UPDATE card_refunds r SET attempts = r.attempts + 1,
      claimed_until = now() + make_interval(secs => seconds * power(2, least(r.attempts, 5)))
    FROM refunds w WHERE r.return_id = w.return_id AND r.number = w.number
    RETURNING r.tenant_id, r.return_id, r.number)
  SELECT tenant_id, id, NULL::integer FROM held_payments
  UNION ALL SELECT * FROM held_refunds
$$
"""


def upgrade() -> None:
    _gift_cards()
    _gift_card_movements()
    _card_payments()
    _card_charges()
    _card_refunds()
    _sandbox_charges()
    _sandbox_refunds()
    function_for(op, APP_ROLE, "claim_card_work(double precision, integer)", _CLAIM)


def _gift_cards() -> None:
    create_table(
        op,
        "gift_cards",
        Column(
            "id", Uuid, primary_key=True, comment="A digest of the code, which is stored nowhere"
        ),
        Column("tenant_id", Uuid, nullable=False),
        Column("currency", CHAR(3), nullable=False),
        Column("last_four", Text, nullable=False),
        Column("initial_minor", BigInteger, nullable=False),
        Column("balance_minor", BigInteger, nullable=False),
        moment("expires_at", nullable=True),
        Column("disabled", Boolean, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        moment("updated_at"),
        CheckConstraint("balance_minor >= 0", name="balance_not_negative"),
        Index("ix_gift_cards_tenant_id", "tenant_id"),
        postgresql_with={"fillfactor": "50"},
        info=of_tenant(app="SELECT"),
    )


def _gift_card_movements() -> None:
    create_table(
        op,
        "gift_card_movements",
        Column("card_id", Uuid, primary_key=True),
        Column("sequence", BigInteger, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("kind", Text, nullable=False),
        Column("delta_minor", BigInteger, nullable=False),
        Column("balance_minor", BigInteger, nullable=False),
        Column("source_id", Uuid, nullable=False, comment="The sale or the return"),
        moment("occurred_at"),
        CheckConstraint(
            "kind IN ('issued', 'redeemed', 'refunded', 'returned')", name="kind_known"
        ),
        info=of_tenant(app="SELECT"),
    )


def _card_payments() -> None:
    create_table(
        op,
        "card_payments",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("fingerprint", LargeBinary, nullable=False, comment="Of the request"),
        Column("status", Text, nullable=False),
        Column("sale_id", Uuid, nullable=False),
        Column("reservation_id", Uuid, nullable=False),
        Column("currency", CHAR(3), nullable=False),
        Column("sale", LargeBinary, nullable=False, comment="The command that completes the sale"),
        Column("problem", Text, comment="Why there is no sale"),
        Column("created_by", Text, nullable=False),
        moment("created_at", server_default=func.now()),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        moment("claimed_until"),
        CheckConstraint(
            "status IN ('charging', 'charged', 'refunding', 'completed', 'declined', 'refunded')",
            name="status_known",
        ),
        Index(
            "ix_card_payments_waiting",
            "claimed_until",
            postgresql_where=text("status IN ('charging', 'charged', 'refunding')"),
        ),
        info=of_tenant(app="SELECT, INSERT, UPDATE", owner="ALL"),
    )


def _card_charges() -> None:
    create_table(
        op,
        "card_charges",
        Column(
            "id", Uuid, primary_key=True, comment="The provider's key; the first is its payment's"
        ),
        Column("payment_id", Uuid, ForeignKey("card_payments.id"), nullable=False),
        Column("number", Integer, nullable=False, comment="Its place among the sale's payments"),
        Column("tenant_id", Uuid, nullable=False),
        Column("token", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("status", Text, nullable=False, server_default=text("'due'")),
        Column("charge_id", Text, comment="What the provider calls it"),
        CheckConstraint(
            "status IN ('due', 'approved', 'declined', 'refunded')", name="status_known"
        ),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        UniqueConstraint("payment_id", "number"),
        info=of_tenant(app="SELECT, INSERT, UPDATE"),
    )


def _card_refunds() -> None:
    create_table(
        op,
        "card_refunds",
        Column("return_id", Uuid, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        Column("charge_id", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("currency", CHAR(3), nullable=False),
        moment("created_at"),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        moment("claimed_until", server_default=func.now()),
        moment("refunded_at", nullable=True),
        Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()"), unique=True),
        Column("problem", Text, comment="Of the last attempt: refused, silent"),
        moment("dead_at", nullable=True),
        moment("settled_at", nullable=True),
        Column("settled_by", Text),
        Column("note", Text, comment="How it was settled by hand"),
        CheckConstraint(
            "num_nulls(settled_at, settled_by, note) IN (0, 3)", name="settled_by_somebody"
        ),
        CheckConstraint("settled_at IS NULL OR dead_at IS NOT NULL", name="settled_when_dead"),
        Index(
            "ix_card_refunds_due",
            "claimed_until",
            postgresql_where=text("refunded_at IS NULL AND dead_at IS NULL"),
        ),
        Index(
            "ix_card_refunds_open",
            "tenant_id",
            "created_at",
            "id",
            postgresql_where=text("refunded_at IS NULL"),
        ),
        Index("ix_card_refunds_tenant_id", "tenant_id", "created_at"),
        info=of_tenant(app="SELECT, UPDATE", owner="ALL"),
    )


def _sandbox_charges() -> None:
    create_table(
        op,
        "sandbox_charges",
        Column("key", Text, primary_key=True),
        Column("status", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("currency", CHAR(3), nullable=False),
        moment("created_at", server_default=func.now()),
        CheckConstraint("status IN ('approved', 'declined', 'canceled')", name="status_known"),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        info=of_nobody(app="SELECT, INSERT, UPDATE"),
    )


def _sandbox_refunds() -> None:
    create_table(
        op,
        "sandbox_refunds",
        Column("key", Text, primary_key=True),
        Column("charge_key", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        moment("created_at", server_default=func.now()),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        Index("ix_sandbox_refunds_charge_key", "charge_key"),
        info=of_nobody(app="SELECT, INSERT"),
    )
