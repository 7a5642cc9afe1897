"""Whether a person's e-mail address is known to be theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_verified_addresses"
down_revision = "0019_incarnations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "users",
        sa.Column(
            "email_verified_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When a mailed link proved the address; null: it never was",
        ),
    )
    op.add_column(
        "users",
        sa.Column(
            "email_nonce",
            sa.LargeBinary(),
            nullable=True,
            comment="Of the last link that was mailed to prove the address",
        ),
    )
    op.add_column(
        "users",
        sa.Column("email_nonce_expires_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_check_constraint(
        op.f("ck_users_email_nonce"), "users", "octet_length(email_nonce) = 16"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_users_email_nonce"), "users")
    for name in ("email_verified_at", "email_nonce", "email_nonce_expires_at"):
        op.drop_column("users", name)
