"""What the planner takes the public to see of prices: see 0029."""

from __future__ import annotations

from alembic import op

from store.kit.schema import PUBLIC

revision = "0030_public_prices"
down_revision = "0029_bounded_products"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(f"ALTER POLICY item_prices_public ON item_prices USING (coalesce({PUBLIC}, false))")
