"""Lists of products for the public: what the planner takes them to hold, and a search that stops at
what was asked for. Both say what they said before, so older builds go on beside it."""

from __future__ import annotations

from alembic import op

from store.kit.schema import PUBLIC, TENANT

revision = "0029_bounded_products"
down_revision = "0028_spared_indexes"
branch_labels = None
depends_on = None

# The planner takes a comparison with a setting for true of one row in 200, and then sorts a whole
# table rather than walk 10,000 rows of an index; inside coalesce it takes it for an even chance.
_FOR_ALL = f"coalesce({PUBLIC}, false)"

# See 0005 and 0008. Each half ends at `most` itself, for a union reads both to their ends; and it
# is planned for the words and the vendor at hand: what many have is walked, what few have is looked
# up, and a vendor with few products is not asked for by the words of all others.
_SEARCH = f"""
CREATE OR REPLACE FUNCTION search_products(query tsquery, vendor uuid, most integer)
RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
  (SELECT id FROM products
   WHERE search @@ query AND deleted_at IS NULL
     AND (vendor IS NULL OR tenant_id = vendor) AND (tenant_id = {TENANT} OR {_FOR_ALL})
   LIMIT most)
  UNION
  (SELECT product_id FROM product_variants
   WHERE search @@ query AND deleted_at IS NULL
     AND (vendor IS NULL OR tenant_id = vendor) AND (tenant_id = {TENANT} OR {_FOR_ALL})
   LIMIT most)
  LIMIT most
$$
"""  # noqa: S608 - our own names


def upgrade() -> None:
    op.execute(
        f"ALTER POLICY products_public ON products USING ({_FOR_ALL} AND deleted_at IS NULL)"
    )
    op.execute(_SEARCH)
