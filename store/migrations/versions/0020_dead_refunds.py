"""Refunds that the card provider refuses time and again are given up, and settled by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_dead_refunds"
down_revision = "0019_incarnations"
branch_labels = None
depends_on = None

# As in 0010, but for refunds that were given up.
_CLAIM = """
CREATE OR REPLACE FUNCTION claim_card_work(seconds double precision, most integer)
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
    for column in (
        sa.Column("id", sa.Uuid, nullable=False, server_default=sa.func.gen_random_uuid()),
        sa.Column("problem", sa.Text, comment="Of the last attempt: refused, silent"),
        sa.Column("dead_at", sa.DateTime(timezone=True)),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.Column("settled_by", sa.Text),
        sa.Column("note", sa.Text, comment="How it was settled by hand"),
    ):
        op.add_column("card_refunds", column)
    op.create_unique_constraint("uq_card_refunds_id", "card_refunds", ["id"])
    op.create_check_constraint(
        "settled_by_somebody", "card_refunds", "num_nulls(settled_at, settled_by, note) IN (0, 3)"
    )
    op.create_check_constraint(
        "settled_when_dead", "card_refunds", "settled_at IS NULL OR dead_at IS NOT NULL"
    )
    op.create_index(
        "ix_card_refunds_due",
        "card_refunds",
        ["claimed_until"],
        postgresql_where=sa.text("refunded_at IS NULL AND dead_at IS NULL"),
    )
    op.drop_index("ix_card_refunds_waiting", "card_refunds")
    op.create_index("ix_card_refunds_tenant_id", "card_refunds", ["tenant_id", "created_at"])
    op.execute(_CLAIM)
