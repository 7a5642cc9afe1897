"""A list of products by price in a currency walks two indexes: of products by their own price in
it, and of the other prices in it."""

from __future__ import annotations

from alembic import op

from store.kit.schema import index_concurrently

revision = "0031_prices_in_order"
down_revision = "0030_public_prices"
branch_labels = None
depends_on = None


def upgrade() -> None:
    index_concurrently(
        op,
        "ix_products_currency_price",
        "ON products (currency, price_e4, id) WHERE deleted_at IS NULL",
    )
    index_concurrently(op, "ix_item_prices_price", "ON item_prices (currency, price_e4, item_id)")
