"""Products: the table and its rows. What a query sees is the transaction's scope: a tenant's own
products, or for the public audience every product that is not deleted. What hangs on a product
stands in `store.catalog.items`, the tree of categories in `store.catalog.categories`, lists and
facets in `store.catalog.search`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    RowMapping,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncConnection

from store.catalog.items import (
    live_by_sku,
    lock_catalog,
    money_of,
    price_e4,
    put_money,
    write_items,
)
from store.catalog.variants import variants
from store.catalog.words import refresh
from store.kit.changes import stamped
from store.kit.paging import Row
from store.kit.schema import PUBLIC_LISTED, metadata, of_tenant, used

__all__ = [
    "Product",
    "add",
    "by_skus",
    "get",
    "get_many",
    "lock_catalog",
    "products",
    "remove",
    "replace",
    "skus_of",
    "stock_terms",
    "vendor_of",
    "with_variants",
]

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
    # A path of names, such as "Toys > Cars": the key of `categories`, which carries a renaming
    # over to here.
    Column("category", String(512)),
    Column("images", JSONB, nullable=False),
    Column("image_alts", JSONB, nullable=False, server_default="{}"),
    Column("sku", String(64), nullable=False),
    Column("barcode", String(64)),
    Column("kind", Text, nullable=False, server_default="simple"),
    Column("tax_class_id", Uuid),
    Column("backorder_limit", BigInteger, nullable=False, server_default=text("0")),
    # Its quantities, and those of its variants, are steps of 10^-quantity_decimals of the unit.
    Column("quantity_decimals", SmallInteger, nullable=False, server_default=text("0")),
    Column("unit", String(10), nullable=False, server_default="piece"),
    Column("version", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
    *stamped("products"),
    Column("search", TSVECTOR, Computed(_SEARCHED, persisted=True), nullable=False),
    *used("used_tax_class_id", "deleted_at IS NULL", "tax_classes", "tax_class_id"),
    CheckConstraint("price_minor >= 0", name="price_not_negative"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("char_length(description) <= 10000", name="description_bounded"),
    CheckConstraint("jsonb_array_length(images) <= 20", name="images_bounded"),
    CheckConstraint("sku <> '' AND name <> ''", name="named"),
    CheckConstraint("kind IN ('simple', 'bundle', 'service')", name="kind_known"),
    CheckConstraint("backorder_limit >= 0", name="backorder_limit_not_negative"),
    CheckConstraint("quantity_decimals BETWEEN 0 AND 3", name="quantity_decimals_known"),
    ForeignKeyConstraint(
        ["tenant_id", "tax_class_id"], ["tax_classes.tenant_id", "tax_classes.id"]
    ),
    ForeignKeyConstraint(
        ["tenant_id", "category"],
        ["categories.tenant_id", "categories.path"],
        name="fk_products_category",
        onupdate="CASCADE",
    ),
    Index("ix_products_newest", "created_at", "id", postgresql_where=_LIVE),
    Index("ix_products_tenant_newest", "tenant_id", "created_at", "id", postgresql_where=_LIVE),
    Index("ix_products_category_newest", "category", "created_at", "id", postgresql_where=_LIVE),
    Index("ix_products_tenant_category", "tenant_id", "category"),
    Index("ix_products_price", "price_e4", "id", postgresql_where=_LIVE),
    Index("ix_products_currency_price", "currency", "price_e4", "id", postgresql_where=_LIVE),
    Index("ix_products_name", "name", "id", postgresql_where=_LIVE),
    Index("uq_products_sku", "sku", "tenant_id", unique=True, postgresql_where=_LIVE),
    Index("uq_products_barcode", "barcode", "tenant_id", unique=True, postgresql_where=_LIVE),
    Index("ix_products_search", "search", postgresql_using="gin", postgresql_where=_LIVE),
    info=of_tenant(
        app="SELECT, INSERT, UPDATE",
        public=f"{PUBLIC_LISTED} AND deleted_at IS NULL",
        owner="SELECT",
    ),
)


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it is stored. `images` are URLs and `image_alts` texts by URL, `category` is a
    path of names. Money is in minor units: `price_minor` and `cost_minor` of `currency`, `prices`
    in further currencies. `kind` is simple, bundle or service. `backorder_limit` is in steps of
    10^-quantity_decimals of `unit`."""

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
    kind: str = "simple"
    image_alts: dict[str, str] = field(default_factory=dict)
    tax_class_id: UUID | None = None
    backorder_limit: int = 0
    quantity_decimals: int = 0
    unit: str = "piece"
    prices: dict[str, int] = field(default_factory=dict)
    cost_minor: int | None = None


_MONEY = frozenset({"prices", "cost_minor"})
_STORED = tuple(products.c[name] for name in Product.__dataclass_fields__ if name not in _MONEY)
FIELDS = (*_STORED, *money_of(products.c.id))


async def add(tx: AsyncConnection, new: Sequence[Product]) -> None:
    """Inserts products, whose categories are there. Raises Conflict naming `sku` or `barcode` if
    another product or variant has it."""
    if new:
        await write_items(tx, insert(products), [_row(product) for product in new])
        await put_money(tx, new, new=True)
        await refresh(tx, [product.id for product in new])


async def replace(tx: AsyncConnection, changed: Sequence[Product]) -> None:
    """Writes every field of existing products. Raises Conflict like `add`."""
    if changed:
        columns: dict[str, Any] = {c.name: bindparam(c.name) for c in _STORED if c.name != "id"}
        columns["price_e4"] = bindparam("price_e4")
        statement = update(products).where(products.c.id == bindparam("_id")).values(columns)
        await write_items(tx, statement, [_row(product, key="_id") for product in changed])
        await put_money(tx, changed, new=False)
        await refresh(tx, [product.id for product in changed])


async def remove(tx: AsyncConnection, product_id: UUID, at: datetime) -> None:
    """Marks a product as deleted: its SKU and barcode are free again, its row stays."""
    await tx.execute(
        update(products)
        .where(products.c.id == product_id)
        .values(deleted_at=at, updated_at=at, version=products.c.version + 1)
    )


async def remove_all(tx: AsyncConnection, tenant_id: UUID, at: datetime) -> None:
    """Marks all of a tenant's products as deleted, with their variants."""
    for table in (variants, products):
        await tx.execute(
            update(table)
            .where(table.c.tenant_id == tenant_id, table.c.deleted_at.is_(None))
            .values(deleted_at=at, updated_at=at, version=table.c.version + 1)
        )


async def get(tx: AsyncConnection, product_id: UUID) -> Product | None:
    """The product, or None if there is none in this scope that is not deleted."""
    return (await get_many(tx, [product_id])).get(product_id)


async def get_many(tx: AsyncConnection, product_ids: Iterable[UUID]) -> dict[UUID, Product]:
    """Those of the products that are in this scope and not deleted, by id."""
    query = select(*FIELDS).where(
        products.c.id.in_(list(product_ids)), products.c.deleted_at.is_(None)
    )
    found = (product_of(row) for row in (await tx.execute(query)).mappings())
    return {product.id: product for product in found}


async def vendor_of(tx: AsyncConnection, item_id: UUID) -> UUID | None:
    """Whose product or variant it is, deleted or not, for a public scope; None if there never
    was one."""
    vendor = func.product_vendor(item_id, type_=Uuid)
    found: UUID | None = (await tx.execute(select(vendor))).scalar_one()
    return found


async def product_of_item(tx: AsyncConnection, item_id: UUID) -> UUID | None:
    """The product that an item of the tenant's is, or is a variant of, deleted or not."""
    query = union_all(
        select(products.c.id).where(products.c.id == item_id),
        select(variants.c.product_id).where(variants.c.id == item_id),
    )
    found: UUID | None = (await tx.execute(query)).scalar_one_or_none()
    return found


async def skus_of(tx: AsyncConnection, item_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The SKUs of products and variants, by id."""
    wanted = literal(list(item_ids), ARRAY(Uuid))
    query = union_all(
        select(products.c.id, products.c.sku).where(products.c.id == func.any(wanted)),
        select(variants.c.id, variants.c.sku).where(variants.c.id == func.any(wanted)),
    )
    return {row.id: row.sku for row in await tx.execute(query)}


async def with_variants(tx: AsyncConnection, product_ids: Iterable[UUID]) -> list[UUID]:
    """The ids themselves, and those of the products' variants: the live ones and, of a deleted
    product, those that were deleted with it."""
    ids = list(product_ids)
    query = (
        select(variants.c.id)
        .join(products, products.c.id == variants.c.product_id)
        .where(
            products.c.id.in_(ids),
            variants.c.deleted_at.is_not_distinct_from(products.c.deleted_at),
        )
    )
    return [*ids, *(await tx.execute(query)).scalars()]


class StockTerms(NamedTuple):
    """The limit is in steps of 10^-decimals units."""

    backorder_limit: int
    decimals: int


async def stock_terms(tx: AsyncConnection, item_ids: Iterable[UUID]) -> dict[UUID, StockTerms]:
    """The terms of each live item, a variant's being its product's; of a product, those of its
    variants too."""
    wanted = literal(list(item_ids), ARRAY(Uuid))
    live = products.c.deleted_at.is_(None)
    terms = (products.c.backorder_limit, products.c.quantity_decimals)
    own = select(products.c.id, *terms).where(products.c.id == func.any(wanted), live)
    of_variants = (
        select(variants.c.id, *terms)
        .join(products, products.c.id == variants.c.product_id)
        .where(
            or_(products.c.id == func.any(wanted), variants.c.id == func.any(wanted)),
            live,
            variants.c.deleted_at.is_(None),
        )
    )
    rows = await tx.execute(union_all(own, of_variants))
    return {item_id: StockTerms(*found) for item_id, *found in rows}


async def by_skus(tx: AsyncConnection, tenant_id: UUID, skus: Iterable[str]) -> dict[str, Product]:
    """The tenant's products by SKU, not deleted."""
    found = await live_by_sku(tx, products, FIELDS, tenant_id, skus)
    return {sku: product_of(row) for sku, row in found.items()}


def product_of(row: RowMapping | Row) -> Product:
    """A product out of a row of FIELDS."""
    return Product(**row)


def _row(product: Product, key: str = "id") -> dict[str, Any]:
    row = {name: value for name, value in asdict(product).items() if name not in _MONEY}
    row["price_e4"] = price_e4(product.price_minor, product.currency)
    row[key] = row.pop("id")
    return row
