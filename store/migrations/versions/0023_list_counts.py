"""What lists would count or walk all rows for: the products of a category are counted as they
come and go, the purchase orders of an item are found by it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.kit.schema import APP_ROLE, TENANT

revision = "0023_list_counts"
down_revision = "0022_command_log_days"
branch_labels = None
depends_on = None

_COUNTED = "category IS NOT NULL AND deleted_at IS NULL"

_FILL = f"""
UPDATE categories c SET products = found.size FROM (
  SELECT tenant_id, category, count(*) AS size FROM products WHERE {_COUNTED} GROUP BY 1, 2
) AS found WHERE c.tenant_id = found.tenant_id AND c.path = found.category"""  # noqa: S608

# What a statement made more or fewer, category by category.
_KEEP = """
CREATE FUNCTION keep_category_counts() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE categories c SET products = c.products + found.size FROM (
    SELECT tenant_id, category, sum(n) AS size FROM (%s) AS changed(tenant_id, category, n)
    GROUP BY 1, 2 HAVING sum(n) <> 0
  ) AS found WHERE c.tenant_id = found.tenant_id AND c.path = found.category;
  RETURN NULL;
END $$"""
_MORE = f"SELECT tenant_id, category, 1 FROM after_it WHERE {_COUNTED}"  # noqa: S608
_FEWER = f"SELECT tenant_id, category, -1 FROM before_it WHERE {_COUNTED}"  # noqa: S608
_OF = {
    "INSERT": ("NEW TABLE AS after_it", _MORE),
    "UPDATE": ("OLD TABLE AS before_it NEW TABLE AS after_it", f"{_MORE} UNION ALL {_FEWER}"),
    "DELETE": ("OLD TABLE AS before_it", _FEWER),
}

# Newest first: ids are UUIDv7. What the row-level policy would show, and by index.
_OF_ITEM = f"""
CREATE FUNCTION purchase_orders_of(item uuid, most integer)
RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT id FROM purchase_orders
  WHERE item_ids @> ARRAY[item] AND tenant_id = {TENANT} ORDER BY id DESC LIMIT most
$$"""  # noqa: S608 - our own names


def upgrade() -> None:
    op.execute(
        "CREATE POLICY purchase_orders_owner ON purchase_orders"
        " FOR SELECT TO CURRENT_USER USING (true)"
    )
    op.execute(_OF_ITEM)
    function = "purchase_orders_of(uuid, integer)"
    op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {APP_ROLE}")
    op.add_column(
        "suppliers",
        sa.Column(
            "sort_name",
            sa.String(255),
            sa.Computed("lower(name)", persisted=True),
            nullable=False,
        ),
    )
    op.add_column(
        "categories", sa.Column("products", sa.Integer(), nullable=False, server_default="0")
    )
    # No writer between the counting and the trigger that goes on with it.
    op.execute("LOCK TABLE products IN SHARE ROW EXCLUSIVE MODE")
    # The owner, too, stands behind the wall.
    op.execute("CREATE POLICY filled ON categories TO CURRENT_USER USING (true)")
    op.execute(_FILL)
    op.execute("DROP POLICY filled ON categories")
    for event, (tables, changed) in _OF.items():
        name = f"keep_category_counts_of_{event.lower()}"
        op.execute(_KEEP.replace("keep_category_counts", name) % changed)
        # A renaming writes the products' key anew from inside the database, and the category
        # takes its count along.
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON products REFERENCING {tables}"
            f" FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION {name}()"
        )
