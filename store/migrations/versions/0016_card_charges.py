"""A charge for each card of a sale; until now there was one, in the row of its payment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.kit.schema import wall

revision = "0016_card_charges"
down_revision = "0015_in_use"
branch_labels = None
depends_on = None

# A single card's charge goes by the id of its payment, as the provider knows it.
_MOVE = """
INSERT INTO card_charges (id, payment_id, number, tenant_id, token, amount_minor, status, charge_id)
SELECT id, id, 0, tenant_id, token, amount_minor,
  CASE WHEN status IN ('declined', 'refunded') THEN status
       WHEN charge_id IS NULL THEN 'due' ELSE 'approved' END, charge_id
FROM card_payments
"""


def upgrade() -> None:
    op.create_table(
        "card_charges",
        sa.Column(
            "id",
            sa.Uuid,
            nullable=False,
            comment="The provider's key; the first is its payment's",
        ),
        sa.Column("payment_id", sa.Uuid, nullable=False),
        sa.Column(
            "number", sa.Integer, nullable=False, comment="Its place among the sale's payments"
        ),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False, server_default=sa.text("'due'")),
        sa.Column("charge_id", sa.Text, comment="What the provider calls it"),
        sa.PrimaryKeyConstraint("id", name="pk_card_charges"),
        sa.ForeignKeyConstraint(
            ["payment_id"],
            ["card_payments.id"],
            name="fk_card_charges_payment_id_card_payments",
        ),
        sa.UniqueConstraint("payment_id", "number", name="uq_card_charges_payment_id_number"),
        sa.CheckConstraint(
            "status IN ('due', 'approved', 'declined', 'refunded')", name="status_known"
        ),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
    )
    op.execute(_MOVE)
    wall(op, "card_charges", app="SELECT, INSERT, UPDATE")
    for column in ("token", "amount_minor", "charge_id"):
        op.drop_column("card_payments", column)
