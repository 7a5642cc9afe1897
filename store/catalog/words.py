"""What products are found and sorted by: a row beside each product that is not deleted. Triggers
make and remove it, and mark it as due where what it is made of has changed, whoever changed it;
`refresh` makes it anew, in the transaction of the writer or, for rows of an earlier build and what
the database changed itself, some time later (`deployments/catalog/search_upkeep.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Row,
    String,
    Table,
    Text,
    Uuid,
    bindparam,
    cast,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncConnection

from store.catalog.lexemes import Described, entry_of
from store.kit.schema import PUBLIC_LISTED, metadata, of_tenant

product_words = Table(
    "product_words",
    metadata,
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
        # Each search reads what was not sorted in yet, in KB.
        postgresql_with={"gin_pending_list_limit": 512},
    ),
    Index("ix_product_words_sort_key", "sort_key", "product_id"),
    Index("ix_product_words_tenant_sort_key", "tenant_id", "sort_key", "product_id"),
    Index("ix_product_words_due", "product_id", postgresql_where=text("is_due")),
    Index("ix_product_words_unmade", "product_id", postgresql_where=text("words IS NULL")),
    info=of_tenant(app="SELECT, UPDATE, DELETE", public=PUBLIC_LISTED, owner="ALL"),
)

# Plain text, since products and variants are written with their words.
_DESCRIBED = text("""
SELECT p.id, p.tenant_id, p.name, p.description, p.sku, p.barcode, p.category,
  v.skus, v.barcodes, v.options
FROM products p JOIN product_words w ON w.product_id = p.id
LEFT JOIN LATERAL (
  SELECT array_agg(f.sku ORDER BY f.position, f.id) AS skus,
    array_agg(f.barcode ORDER BY f.position, f.id) AS barcodes,
    jsonb_agg(f.options ORDER BY f.position, f.id) AS options
  FROM product_variants f WHERE f.product_id = p.id AND f.deleted_at IS NULL) AS v ON true
WHERE p.id = ANY (:ids) AND p.deleted_at IS NULL AND w.is_due
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))
_DROP_STRAYS = text("""
DELETE FROM product_words w WHERE w.product_id = ANY (:ids) AND w.is_due
  AND NOT EXISTS (SELECT FROM products p WHERE p.id = w.product_id AND p.deleted_at IS NULL)
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))
_DUE = text("SELECT * FROM due_product_words(:most)")


async def refresh(tx: AsyncConnection, product_ids: Iterable[UUID]) -> None:
    """Makes those rows of products anew that are due. The tenant's catalogue must be locked: then
    what is read here stays true until `tx` ends."""
    ids = list(dict.fromkeys(product_ids))
    if not ids:
        return
    found = await tx.execute(_DESCRIBED, {"ids": ids})
    rows = [{"_id": row.id, **entry_of(_described(row))._asdict()} for row in found]
    if rows:
        await tx.execute(_WRITE, rows)


async def drop_strays(tx: AsyncConnection, product_ids: Iterable[UUID]) -> None:
    """Removes those of the rows, all of one tenant, whose products are gone. Triggers do so too;
    but a row that nobody can make anew would stay due, and keep others from their turn."""
    await tx.execute(_DROP_STRAYS, {"ids": list(product_ids)})


async def due(tx: AsyncConnection, most: int) -> dict[UUID, list[UUID]]:
    """Products whose rows wait to be made anew, of whichever tenants, by tenant; `most` in all."""
    found: dict[UUID, list[UUID]] = {}
    for row in await tx.execute(_DUE, {"most": most}):
        found.setdefault(row.tenant_id, []).append(row.product_id)
    return found


_WRITE = (
    update(product_words)
    .where(product_words.c.product_id == bindparam("_id"))
    .values(
        sort_key=bindparam("sort_key"),
        head=bindparam("head"),
        side=bindparam("side"),
        words=cast(bindparam("lexemes", type_=Text), TSVECTOR),
        is_due=False,
    )
)


def _described(row: Row[Any]) -> Described:
    codes = [row.sku, row.barcode, *(row.skus or ()), *(row.barcodes or ())]
    options = [value for options in row.options or () for value in options.values()]
    return Described(
        row.id,
        row.tenant_id,
        row.name,
        row.description,
        [code for code in codes if code],
        [row.category, *options] if row.category else options,
    )
