"""A return says as which variant goods went onto the shelf that had none when they were sold."""

from __future__ import annotations

from alembic import op

revision = "0044_restocked_as"
down_revision = "0043_consumers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE pos_return_lines ADD COLUMN restocked_as uuid")
    op.execute(
        "COMMENT ON COLUMN pos_return_lines.restocked_as IS"
        " 'The variant that it went onto the shelf as'"
    )
