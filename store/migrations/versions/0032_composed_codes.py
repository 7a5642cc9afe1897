"""SKUs and barcodes in one form of Unicode (NFC), in which they are looked for from now on."""

from __future__ import annotations

from alembic import op

revision = "0032_composed_codes"
down_revision = "0031_prices_in_order"
branch_labels = None
depends_on = None

# Row by row and code by code, for there are few: of two that were written apart and are now the
# same, and of what is too long when it is composed, each stays as it is, and is found by its id.
_COMPOSE = """
DO $$
DECLARE item uuid;
BEGIN
  FOR item IN SELECT id FROM {0} WHERE deleted_at IS NULL AND {1} IS NOT NFC NORMALIZED
  LOOP
    BEGIN
      UPDATE {0} SET {1} = normalize({1}), version = version + 1 WHERE id = item;
    EXCEPTION WHEN unique_violation OR string_data_right_truncation THEN
      RAISE NOTICE '% has a {1} that another one has in another form of Unicode', item;
    END;
  END LOOP;
END $$
"""


def upgrade() -> None:
    # Each on its own: who changes a table keeps everybody from it, and looking takes a second for
    # a million rows. The owner alone sees more meanwhile; a migration that ended here starts anew.
    with op.get_context().autocommit_block():
        for table in ("products", "product_variants"):
            op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
            for code in ("sku", "barcode"):
                op.execute(_COMPOSE.format(table, code))
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Nothing: what is in one form is found in it by older builds, too."""
