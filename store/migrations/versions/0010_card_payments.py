"""Card payments, refunds that are owed, and the sandbox provider's own ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.kit.schema import APP_ROLE, grant, wall

revision = "0010_card_payments"
down_revision = "0009_till"
branch_labels = None
depends_on = None

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
    WHERE r.refunded_at IS NULL AND r.claimed_until <= now()
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
    _card_payments()
    _card_refunds()
    _sandbox_charges()
    _sandbox_refunds()
    wall(op, "card_payments", app="SELECT, INSERT, UPDATE")
    # The hosts write what is owed in the return's own commit; who pays it back marks it.
    wall(op, "card_refunds", app="SELECT, UPDATE")
    grant(op, "sandbox_charges", app="SELECT, INSERT, UPDATE")
    grant(op, "sandbox_refunds", app="SELECT, INSERT")
    for table in ("card_payments", "card_refunds"):
        op.execute(f"CREATE POLICY {table}_owner ON {table} TO CURRENT_USER USING (true)")
    op.execute(_CLAIM)
    function = "claim_card_work(double precision, integer)"
    op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {APP_ROLE}")


def _card_payments() -> None:
    op.create_table(
        "card_payments",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False, comment="Of the request"),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("sale_id", sa.Uuid, nullable=False),
        sa.Column("reservation_id", sa.Uuid, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column(
            "sale", sa.LargeBinary, nullable=False, comment="The command that completes the sale"
        ),
        sa.Column("charge_id", sa.Text),
        sa.Column("problem", sa.Text, comment="Why there is no sale"),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_card_payments"),
        sa.CheckConstraint(
            "status IN ('charging', 'charged', 'refunding', 'completed', 'declined', 'refunded')",
            name="status_known",
        ),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
    )
    op.create_index(
        "ix_card_payments_waiting",
        "card_payments",
        ["claimed_until"],
        postgresql_where=sa.text("status IN ('charging', 'charged', 'refunding')"),
    )


def _card_refunds() -> None:
    op.create_table(
        "card_refunds",
        sa.Column("return_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("charge_id", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column(
            "claimed_until",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
        ),
        sa.Column("refunded_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("return_id", "number", name="pk_card_refunds"),
    )
    op.create_index(
        "ix_card_refunds_waiting",
        "card_refunds",
        ["claimed_until"],
        postgresql_where=sa.text("refunded_at IS NULL"),
    )


def _sandbox_charges() -> None:
    op.create_table(
        "sandbox_charges",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("key", name="pk_sandbox_charges"),
        sa.CheckConstraint("status IN ('approved', 'declined', 'canceled')", name="status_known"),
        sa.CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
    )


def _sandbox_refunds() -> None:
    op.create_table(
        "sandbox_refunds",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("charge_key", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("key", name="pk_sandbox_refunds"),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
    )
    op.create_index("ix_sandbox_refunds_charge_key", "sandbox_refunds", ["charge_key"])
