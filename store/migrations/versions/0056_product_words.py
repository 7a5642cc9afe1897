"""What products are found and sorted by, and how they are looked for."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Text, Uuid, text
from sqlalchemy.dialects.postgresql import TSVECTOR

from store.kit.schema import APP_ROLE, PUBLIC_LISTED, TENANT, create_table, function_for, of_tenant

revision = "0056_product_words"
down_revision = "0055_changes_are_found"
branch_labels = None
depends_on = None

_KEEP = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  {body}
  RETURN NULL;
END $$
"""
_NEW_PRODUCTS = """INSERT INTO product_words (product_id, tenant_id, sort_key)
  SELECT id, tenant_id, name FROM after_it WHERE deleted_at IS NULL ON CONFLICT DO NOTHING;"""
_CHANGED_PRODUCTS = """DELETE FROM product_words w USING after_it a
  WHERE w.product_id = a.id AND a.deleted_at IS NOT NULL;
  UPDATE product_words w SET is_due = true FROM after_it a JOIN before_it b ON b.id = a.id
  WHERE w.product_id = a.id AND NOT w.is_due
    AND (a.name, a.description, a.sku, a.barcode, a.category)
      IS DISTINCT FROM (b.name, b.description, b.sku, b.barcode, b.category);"""
_NEW_VARIANTS = """UPDATE product_words w SET is_due = true FROM after_it a
  WHERE w.product_id = a.product_id AND NOT w.is_due;"""
_CHANGED_VARIANTS = """UPDATE product_words w SET is_due = true
  FROM after_it a JOIN before_it b ON b.id = a.id
  WHERE w.product_id = a.product_id AND NOT w.is_due
    AND (a.sku, a.barcode, a.options, a.position, a.deleted_at)
      IS DISTINCT FROM (b.sku, b.barcode, b.options, b.position, b.deleted_at);"""

# Each of the database's own statements tells of changes, too, such as the renaming of a category.
_TRIGGERS = {
    "keep_words_of_new_products": ("products", "INSERT", _NEW_PRODUCTS),
    "keep_words_of_changed_products": ("products", "UPDATE", _CHANGED_PRODUCTS),
    "keep_words_of_new_variants": ("product_variants", "INSERT", _NEW_VARIANTS),
    "keep_words_of_changed_variants": ("product_variants", "UPDATE", _CHANGED_VARIANTS),
}
_TABLES = {
    "INSERT": "NEW TABLE AS after_it",
    "UPDATE": "OLD TABLE AS before_it NEW TABLE AS after_it",
}

# `@@` is not leakproof: see `search_products` in 0038. These functions run as the schema's owner,
# and repeat the scope themselves. By index alone: a plan for the words at hand would read the whole
# table where most rows have them.
_BY_INDEX = """SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_indexscan = off SET enable_indexonlyscan = off"""

# Null where some `most` products match at most; else, how many parts of all products have `few`
# matches, or 0 where they are found fast enough among all. One part of 512 is counted, and the
# index skips the others.
_PARTS = f"""
CREATE FUNCTION parts_of_products(question tsquery, most integer, few integer) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER {_BY_INDEX} AS $$
DECLARE
  probed integer;
BEGIN
  EXECUTE 'SELECT count(*) FROM (SELECT FROM product_words WHERE words @@ $1 LIMIT $2) AS found'
    INTO probed USING question && '''#0'''::tsquery, most;
  RETURN CASE WHEN probed * 512 <= 2 * most THEN NULL WHEN probed < 200 THEN 0
    ELSE few * 5 / 4 / probed + 2 END;
END $$
"""  # noqa: S608 - our own names
_MATCHING = f"""
CREATE FUNCTION matching_products(question tsquery, parts integer, asked text[], code text,
  most integer)
RETURNS TABLE (product_id uuid, score integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000 {_BY_INDEX} AS $$
DECLARE
  ranked text;
BEGIN
  IF parts > 0 THEN
    question := question && (SELECT string_agg(format('''#%s''', n), ' | ')
      FROM generate_series(0, parts - 1) AS n)::tsquery;
  END IF;
  SELECT string_agg(format('CASE WHEN strpos(head, $2[%1$s]) > 0 THEN CASE
      WHEN strpos(head, $2[%1$s] || '' '') > 0 THEN 60 ELSE 40 END
    WHEN strpos(side, $2[%1$s]) > 0 THEN CASE
      WHEN strpos(side, $2[%1$s] || '' '') > 0 THEN 20 ELSE 15 END
    ELSE 0 END', n), ' + ') INTO ranked FROM generate_subscripts(asked, 1) AS n;
  RETURN QUERY EXECUTE 'SELECT product_id, CASE WHEN strpos(head, $3) > 0 THEN 1000 ELSE 0 END + '
    || ranked || ' FROM product_words WHERE words @@ $1 LIMIT $4'
    USING question, asked, code, most;
END $$
"""  # noqa: S608 - our own names
# A row without a product says that more match.
_FIND = f"""
CREATE FUNCTION find_products(whole tsquery, anywhere tsquery, loose tsquery, asked text[],
  code text, before tsquery, vendor uuid, most integer, few integer, enough integer)
RETURNS TABLE (product_id uuid, score integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  mine uuid := CASE WHEN {PUBLIC_LISTED} THEN vendor ELSE {TENANT} END;
  within tsquery := ('''@' || mine || '''')::tsquery;
  parts integer;
  size integer;
  further integer := 0;
BEGIN
  IF (mine IS NULL AND NOT {PUBLIC_LISTED}) OR mine <> vendor THEN
    RETURN;
  END IF;
  IF mine IS NOT NULL THEN
    whole := whole && within;
    anywhere := anywhere && within;
    loose := loose && within;
  END IF;
  parts := parts_of_products(whole, most, few);
  RETURN QUERY SELECT * FROM matching_products(
    whole, parts, asked, code, CASE WHEN parts IS NULL THEN most ELSE few END);
  GET DIAGNOSTICS size = ROW_COUNT;
  IF parts IS NULL AND size < most THEN
    anywhere := anywhere && !! whole;
    parts := parts_of_products(anywhere, most - size, few);
    RETURN QUERY SELECT * FROM matching_products(
      anywhere, parts, asked, code, CASE WHEN parts IS NULL THEN most - size ELSE few END);
    GET DIAGNOSTICS further = ROW_COUNT;
  END IF;
  IF parts IS NOT NULL OR size + further >= most THEN
    RETURN QUERY SELECT NULL::uuid, 0;
  ELSIF size + further < enough AND loose IS NOT NULL THEN
    loose := loose && !! whole && !! anywhere;
    RETURN QUERY SELECT m.product_id, m.score - 500 FROM matching_products(
      loose, parts_of_products(loose, few, few), asked, code, few) AS m;
  END IF;
  IF EXISTS (SELECT FROM product_words WHERE words IS NULL) THEN
    RETURN QUERY SELECT s.id, 0 FROM search_products(before, mine, most) AS s(id)
    JOIN product_words w ON w.product_id = s.id AND w.words IS NULL;
  END IF;
END $$
"""  # noqa: S608 - our own names
_DUE = """
CREATE FUNCTION due_product_words(most integer) RETURNS TABLE (tenant_id uuid, product_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT tenant_id, product_id FROM product_words WHERE is_due LIMIT most
$$
"""


def upgrade() -> None:
    _table()
    for name, (table, event, body) in _TRIGGERS.items():
        op.execute(_KEEP.format(name=name, body=body))
        op.execute(f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC")
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {_TABLES[event]}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
    for definition, signature in (
        (_PARTS, "parts_of_products(tsquery, integer, integer)"),
        (_MATCHING, "matching_products(tsquery, integer, text[], text, integer)"),
    ):
        op.execute(definition)
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    asked = "tsquery, tsquery, tsquery, text[], text, tsquery, uuid, integer, integer, integer"
    function_for(op, APP_ROLE, f"find_products({asked})", _FIND)
    function_for(op, APP_ROLE, "due_product_words(integer)", _DUE)


def _table() -> None:
    create_table(
        op,
        "product_words",
        Column("product_id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("sort_key", String(410, collation="C"), nullable=False),
        Column("head", Text, comment="Words of name and codes"),
        Column("side", Text, comment="Words of labels"),
        Column("words", TSVECTOR, comment="Null: not made yet"),
        Column("is_due", Boolean, nullable=False, server_default=text("true")),
        Index(
            "ix_product_words_words",
            "words",
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 512},
        ),
        Index("ix_product_words_sort_key", "sort_key", "product_id"),
        Index("ix_product_words_tenant_sort_key", "tenant_id", "sort_key", "product_id"),
        Index("ix_product_words_due", "product_id", postgresql_where=text("is_due")),
        Index("ix_product_words_unmade", "product_id", postgresql_where=text("words IS NULL")),
        info=of_tenant(app="SELECT, UPDATE, DELETE", public=PUBLIC_LISTED, owner="ALL"),
    )
    # What ranks is read of many rows, the lexemes of none: so they lie elsewhere.
    op.execute("ALTER TABLE product_words SET (toast_tuple_target = 512)")
    op.execute("ALTER TABLE product_words ALTER words SET STORAGE EXTERNAL")
    for column in ("head", "side", "sort_key"):
        op.execute(f"ALTER TABLE product_words ALTER {column} SET STORAGE MAIN")
