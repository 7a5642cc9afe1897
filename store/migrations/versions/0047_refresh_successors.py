"""Refresh tokens: what each led to, for whoever asks again a moment later."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0047_refresh_successors"
down_revision = "0046_partial_transfers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = Column("successor", LargeBinary, comment="The next token, sealed with this one")
    op.add_column("refresh_tokens", column)
