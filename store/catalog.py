"""Products: the table and its queries. What a query sees is the transaction's scope: a tenant's
own products, or for the public audience every product that is not deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from operator import eq, ge, le
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Computed,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    Uuid,
    bindparam,
    cast,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, FieldError
from core.money import exponent
from store.engine import sqlstate
from store.schema import metadata

MOST_FOUND = 10_000
MOST_CATEGORIES = 500

_LIVE = text("deleted_at IS NULL")
_SEARCHED = "to_tsvector('simple', name || ' ' || sku || ' ' || coalesce(category, ''))"

products = Table(
    "products",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("created_by", Uuid, nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    # The price in ten-thousandths of a major unit: what a filter compares and a list is sorted
    # by, as the numbers are shown, whatever decimals each currency has. An integer, because its
    # comparisons are leakproof: under row-level security only those may use an index.
    Column("price_e4", BigInteger, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("category", String(100)),
    Column("images", JSONB, nullable=False),
    Column("sku", String(64), nullable=False),
    Column("barcode", String(64)),
    Column("version", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
    Column("search", TSVECTOR, Computed(_SEARCHED, persisted=True), nullable=False),
    CheckConstraint("price_minor >= 0", name="price_not_negative"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("char_length(description) <= 10000", name="description_bounded"),
    CheckConstraint("jsonb_array_length(images) <= 20", name="images_bounded"),
    CheckConstraint("sku <> '' AND name <> ''", name="named"),
    Index("ix_products_newest", "created_at", "id", postgresql_where=_LIVE),
    Index("ix_products_tenant_newest", "tenant_id", "created_at", "id", postgresql_where=_LIVE),
    Index("ix_products_category_newest", "category", "created_at", "id", postgresql_where=_LIVE),
    Index("ix_products_price", "price_e4", "id", postgresql_where=_LIVE),
    Index("ix_products_name", "name", "id", postgresql_where=_LIVE),
    Index("uq_products_sku", "sku", "tenant_id", unique=True, postgresql_where=_LIVE),
    Index("uq_products_barcode", "barcode", "tenant_id", unique=True, postgresql_where=_LIVE),
    Index("ix_products_search", "search", postgresql_using="gin", postgresql_where=_LIVE),
)

SORTS: Mapping[str, ColumnElement[Any]] = {
    "createdAt": products.c.created_at,
    "price": products.c.price_e4,
    "name": products.c.name,
}


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it is stored. `images` are URLs, `price_minor` is in minor units."""

    id: UUID
    tenant_id: UUID
    created_by: UUID
    name: str
    description: str
    price_minor: int
    currency: str
    category: str | None
    images: list[str]
    sku: str
    barcode: str | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; None narrows nothing. `words` must all occur in name, SKU or
    category, each at least as a beginning; prices are in ten-thousandths of a major unit."""

    tenant_id: UUID | None = None
    category: str | None = None
    currency: str | None = None
    min_price_e4: int | None = None
    max_price_e4: int | None = None
    sku: str | None = None
    barcode: str | None = None
    words: str | None = None


_FIELDS = tuple(products.c[name] for name in Product.__dataclass_fields__)


def price_e4(price_minor: int, currency: str) -> int:
    """Minor units to ten-thousandths of a major unit: 1999 USD is 199900."""
    return int(price_minor * 10 ** (4 - exponent(currency)))


async def lock_catalog(tx: AsyncConnection, tenant_id: UUID) -> None:
    """Waits until no other transaction is writing this tenant's catalogue, and keeps it so until
    `tx` ends. What a writer then reads stays true while it decides, and events keep their order
    per product. The wait is bounded by the statement's time limit."""
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('catalog:' || :tenant, 0))"),
        {"tenant": str(tenant_id)},
    )


async def add(tx: AsyncConnection, new: Sequence[Product]) -> None:
    """Inserts products. Raises Conflict naming `sku` or `barcode` if another one has it."""
    if new:
        await _write(tx, insert(products), [_row(product) for product in new])


async def replace(tx: AsyncConnection, changed: Sequence[Product]) -> None:
    """Writes every field of existing products. Raises Conflict naming `sku` or `barcode` if
    another product has it."""
    if changed:
        columns: dict[str, Any] = {c.name: bindparam(c.name) for c in _FIELDS if c.name != "id"}
        columns["price_e4"] = bindparam("price_e4")
        statement = update(products).where(products.c.id == bindparam("_id")).values(columns)
        await _write(tx, statement, [_row(product, key="_id") for product in changed])


async def remove(tx: AsyncConnection, product_id: UUID, at: datetime) -> None:
    """Marks a product as deleted: its SKU and barcode are free again, its row stays."""
    await tx.execute(
        update(products)
        .where(products.c.id == product_id)
        .values(deleted_at=at, updated_at=at, version=products.c.version + 1)
    )


async def get(tx: AsyncConnection, product_id: UUID) -> Product | None:
    """The product, or None if there is none in this scope that is not deleted."""
    return (await get_many(tx, [product_id])).get(product_id)


async def get_many(tx: AsyncConnection, product_ids: Iterable[UUID]) -> dict[UUID, Product]:
    """Those of the products that are in this scope and not deleted, by id."""
    query = select(*_FIELDS).where(
        products.c.id.in_(list(product_ids)), products.c.deleted_at.is_(None)
    )
    found = (_product(row) for row in (await tx.execute(query)).mappings())
    return {product.id: product for product in found}


async def tenant_of(tx: AsyncConnection, product_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Product to tenant, for those that this scope shows; a tenant's scope shows it its deleted
    products too, the public one does not. The answer for an id never changes: cache it."""
    wanted = literal(list(product_ids), ARRAY(Uuid))
    query = select(products.c.id, products.c.tenant_id).where(products.c.id == func.any(wanted))
    return {row.id: row.tenant_id for row in await tx.execute(query)}


async def vendor_of(tx: AsyncConnection, product_id: UUID) -> UUID | None:
    """Whose product it is, deleted or not, for a public scope; None if there never was one."""
    vendor = func.product_vendor(product_id, type_=Uuid)
    found: UUID | None = (await tx.execute(select(vendor))).scalar_one()
    return found


async def by_skus(tx: AsyncConnection, tenant_id: UUID, skus: Iterable[str]) -> dict[str, Product]:
    """The tenant's products by SKU, not deleted."""
    query = select(*_FIELDS).where(
        products.c.sku.in_(list(skus)),
        products.c.tenant_id == tenant_id,
        products.c.deleted_at.is_(None),
    )
    found = (_product(row) for row in (await tx.execute(query)).mappings())
    return {product.sku: product for product in found}


async def barcode_owners(
    tx: AsyncConnection, tenant_id: UUID, barcodes: Iterable[str]
) -> dict[str, str]:
    """Barcode to the SKU of the tenant's product that has it now."""
    query = select(products.c.barcode, products.c.sku).where(
        products.c.barcode.in_(list(barcodes)),
        products.c.tenant_id == tenant_id,
        products.c.deleted_at.is_(None),
    )
    return {row.barcode: row.sku for row in await tx.execute(query)}


async def search(
    tx: AsyncConnection, filters: Filters, sort: str, *, limit: int, offset: int
) -> tuple[list[Product], int]:
    """One page of products and how many there are in all. `sort` is a name of SORTS, with a
    leading minus for descending; ties go by id. With `words`, at most MOST_FOUND are found."""
    where = [products.c.deleted_at.is_(None), *_conditions(filters)]
    column, newest = SORTS[sort.removeprefix("-")], sort.startswith("-")
    order = [c.desc() if newest else c.asc() for c in (column, products.c.id)]
    page = select(*_FIELDS).where(*where).order_by(*order).limit(limit).offset(offset)
    found = [_product(row) for row in (await tx.execute(page)).mappings()]
    if len(found) < limit and (found or not offset):
        return found, offset + len(found)
    count = select(func.count()).select_from(products).where(*where)
    return found, (await tx.execute(count)).scalar_one()


async def categories(tx: AsyncConnection, tenant_id: UUID | None = None) -> list[tuple[str, int]]:
    """Categories in use with the number of products in each, most first, MOST_CATEGORIES at
    most; of one tenant, or of all that the scope shows."""
    size = func.count().label("size")
    query = (
        select(products.c.category, size)
        .where(products.c.deleted_at.is_(None), products.c.category.is_not(None))
        .group_by(products.c.category)
        .order_by(size.desc(), products.c.category)
        .limit(MOST_CATEGORIES)
    )
    if tenant_id is not None:
        query = query.where(products.c.tenant_id == tenant_id)
    return [(row.category, row.size) for row in await tx.execute(query)]


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    c = products.c
    compared: list[tuple[Column[Any], Callable[[Any, Any], Any], object]] = [
        (c.tenant_id, eq, filters.tenant_id),
        (c.category, eq, filters.category),
        (c.currency, eq, filters.currency),
        (c.price_e4, ge, filters.min_price_e4),
        (c.price_e4, le, filters.max_price_e4),
        (c.sku, eq, filters.sku),
        (c.barcode, eq, filters.barcode),
    ]
    conditions = [compare(column, v) for column, compare, v in compared if v is not None]
    if filters.words is not None:
        query = func.to_tsquery(literal_column("'simple'"), _beginnings(filters.words))
        vendor = cast(filters.tenant_id, Uuid)
        conditions.append(c.id.in_(select(func.search_products(query, vendor, MOST_FOUND))))
    return conditions


def _beginnings(words: str) -> str:
    """Text that people type, as a tsquery of word beginnings that must all match. Quoted, so
    that nothing in it is an operator and Postgres cuts it into words as it cut the names."""
    quoted = (word.replace("\\", "\\\\").replace("'", "''") for word in words.split())
    return " & ".join(f"'{word}':*" for word in quoted)


def _product(row: RowMapping) -> Product:
    return Product(**row)


def _row(product: Product, key: str = "id") -> dict[str, Any]:
    row = asdict(product)
    row["price_e4"] = price_e4(product.price_minor, product.currency)
    row[key] = row.pop("id")
    return row


async def _write(tx: AsyncConnection, statement: Any, rows: list[dict[str, Any]]) -> None:
    try:
        await tx.execute(statement, rows)
    except IntegrityError as error:
        if sqlstate(error) != "23505":
            raise
        field = "barcode" if "uq_products_barcode" in str(error.orig) else "sku"
        message = "is used by another product"
        raise Conflict(f"This {field} {message}.", errors=[FieldError(field, message)]) from error
