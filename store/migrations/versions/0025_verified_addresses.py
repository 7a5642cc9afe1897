"""Whether a person's e-mail address is known to be theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025_verified_addresses"
down_revision = "0024_list_indexes"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("email_verified_at", sa.DateTime(timezone=True)),
    ("email_nonce", sa.LargeBinary()),
    ("email_nonce_expires_at", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    # The nonce is that of the last link that was mailed to prove the address.
    for name, kind in _COLUMNS:
        op.add_column("users", sa.Column(name, kind, nullable=True))
    op.create_check_constraint(
        op.f("ck_users_email_nonce"), "users", "octet_length(email_nonce) = 16"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_users_email_nonce"), "users")
    for name, _ in _COLUMNS:
        op.drop_column("users", name)
