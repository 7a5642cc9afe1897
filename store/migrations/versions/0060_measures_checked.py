"""The checks of measures hold for rows that were there before, too."""

from __future__ import annotations

from alembic import op

revision = "0060_measures_checked"
down_revision = "0059_measures"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE products VALIDATE CONSTRAINT ck_products_kind_known,"
        " VALIDATE CONSTRAINT ck_products_quantity_decimals_known"
    )
    op.execute(
        "ALTER TABLE bundle_components"
        " VALIDATE CONSTRAINT ck_bundle_components_quantity_within_bounds"
    )
