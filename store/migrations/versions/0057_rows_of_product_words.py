"""A row of words for each product that is there; what makes the words is Python's and comes later.
Until then it is sorted by its name as it is, and found as before."""

from __future__ import annotations

from alembic import op

revision = "0057_rows_of_product_words"
down_revision = "0056_product_words"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(
            "INSERT INTO product_words (product_id, tenant_id, sort_key)"
            " SELECT id, tenant_id, name FROM products WHERE deleted_at IS NULL"
            " ON CONFLICT DO NOTHING"
        )
