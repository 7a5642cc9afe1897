"""Sales that a register made offline and uploaded later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017_offline_sales"
down_revision = "0016_card_charges"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column(
            "client_sale_id", sa.Uuid, comment="Of a sale that was made offline: the register's own"
        ),
        sa.Column("offline_number", sa.Text, comment="On the paper that the register printed"),
        sa.Column("upload_digest", sa.LargeBinary, comment="Of what the register said of the sale"),
        sa.Column("uploaded_by", sa.Text),
        sa.Column("uploaded_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("pos_sales", column)
    op.create_check_constraint(
        op.f("ck_pos_sales_offline_as_a_whole"),
        "pos_sales",
        "num_nulls(client_sale_id, upload_digest, uploaded_by, uploaded_at) IN (0, 4)",
    )
