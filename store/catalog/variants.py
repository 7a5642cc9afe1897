"""Variants: the table and its queries. A product with variants is not stocked or sold itself;
each of its variants is an item of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
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
    String,
    Table,
    Uuid,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncConnection

from store.catalog.items import live_by_sku, money_of, put_money, write_items
from store.catalog.words import refresh
from store.kit.schema import PUBLIC, exempt, metadata, of_tenant, used

_LIVE = text("deleted_at IS NULL")
_SEARCHED = "to_tsvector('simple', sku) || to_tsvector('simple', options)"

variants = Table(
    "product_variants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column(
        "product_id",
        Uuid,
        ForeignKey("products.id"),
        nullable=False,
        info=exempt(no_tenant="the product is read behind the wall first"),
    ),
    Column("options", JSONB, nullable=False),
    Column("sku", String(64), nullable=False),
    Column("barcode", String(64)),
    Column("price_minor", BigInteger, comment="null: the product's price"),
    Column("tax_class_id", Uuid, comment="null: the product's class"),
    Column("images", JSONB, nullable=False, server_default="[]"),
    Column("image_alts", JSONB, nullable=False, server_default="{}"),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
    Column("search", TSVECTOR, Computed(_SEARCHED, persisted=True), nullable=False),
    *used("used_tax_class_id", "deleted_at IS NULL", "tax_classes", "tax_class_id"),
    ForeignKeyConstraint(
        ["tenant_id", "tax_class_id"], ["tax_classes.tenant_id", "tax_classes.id"]
    ),
    CheckConstraint("price_minor >= 0", name="price_not_negative"),
    CheckConstraint("jsonb_typeof(options) = 'object'", name="options_object"),
    CheckConstraint("sku <> ''", name="named"),
    Index("ix_product_variants_search", "search", postgresql_using="gin", postgresql_where=_LIVE),
    Index("ix_product_variants_product", "product_id", postgresql_where=_LIVE),
    Index("ix_product_variants_sku", "sku", "tenant_id", postgresql_where=_LIVE),
    Index("ix_product_variants_barcode", "barcode", "tenant_id", postgresql_where=_LIVE),
    Index(
        "uq_product_variants_options",
        "product_id",
        "options",
        unique=True,
        postgresql_where=_LIVE,
    ),
    info=of_tenant(
        app="SELECT, INSERT, UPDATE", public=f"{PUBLIC} AND deleted_at IS NULL", owner="SELECT"
    ),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant as it is stored. `price_minor` is in the product's currency, None for the
    product's price; `prices` are those in further currencies."""

    id: UUID
    tenant_id: UUID
    product_id: UUID
    options: dict[str, str]
    sku: str
    barcode: str | None
    price_minor: int | None
    tax_class_id: UUID | None
    images: list[str]
    image_alts: dict[str, str]
    position: int
    version: int
    created_at: datetime
    updated_at: datetime
    prices: dict[str, int] = field(default_factory=dict)
    cost_minor: int | None = None


_MONEY = frozenset({"prices", "cost_minor"})
_STORED = tuple(variants.c[name] for name in Variant.__dataclass_fields__ if name not in _MONEY)
_FIELDS = (*_STORED, *money_of(variants.c.id))


async def add(tx: AsyncConnection, new: Sequence[Variant]) -> None:
    """Inserts variants. Raises Conflict naming `sku`, `barcode` or `options` if taken."""
    if new:
        await write_items(tx, insert(variants), [_row(variant) for variant in new])
        await put_money(tx, new, new=True)
        await refresh(tx, [variant.product_id for variant in new])


async def replace(tx: AsyncConnection, changed: Sequence[Variant]) -> None:
    """Writes every field of existing variants. Raises Conflict like `add`."""
    if changed:
        columns: dict[str, Any] = {c.name: bindparam(c.name) for c in _STORED if c.name != "id"}
        statement = update(variants).where(variants.c.id == bindparam("_id")).values(columns)
        await write_items(tx, statement, [_row(variant, key="_id") for variant in changed])
        await put_money(tx, changed, new=False)
        await refresh(tx, [variant.product_id for variant in changed])


async def remove(tx: AsyncConnection, variant_ids: Iterable[UUID], at: datetime) -> None:
    """Marks variants as deleted: their SKUs, barcodes and options are free again."""
    gone = await tx.execute(
        update(variants)
        .where(variants.c.id.in_(list(variant_ids)))
        .values(deleted_at=at, updated_at=at, version=variants.c.version + 1)
        .returning(variants.c.product_id)
    )
    await refresh(tx, gone.scalars())


async def get(tx: AsyncConnection, variant_id: UUID) -> Variant | None:
    """The variant, or None if there is none in this scope that is not deleted."""
    query = select(*_FIELDS).where(variants.c.id == variant_id, variants.c.deleted_at.is_(None))
    row = (await tx.execute(query)).mappings().first()
    return None if row is None else _variant(row)


async def of_products(
    tx: AsyncConnection, product_ids: Iterable[UUID]
) -> dict[UUID, list[Variant]]:
    """Live variants by product, each product's by position and then age."""
    query = (
        select(*_FIELDS)
        .where(variants.c.product_id.in_(list(product_ids)), variants.c.deleted_at.is_(None))
        .order_by(variants.c.product_id, variants.c.position, variants.c.id)
    )
    found: dict[UUID, list[Variant]] = {}
    for row in (await tx.execute(query)).mappings():
        found.setdefault(row["product_id"], []).append(_variant(row))
    return found


async def count_of_products(tx: AsyncConnection, product_ids: Iterable[UUID]) -> dict[UUID, int]:
    """How many live variants each product has; without those that have none."""
    query = (
        select(variants.c.product_id, func.count().label("size"))
        .where(variants.c.product_id.in_(list(product_ids)), variants.c.deleted_at.is_(None))
        .group_by(variants.c.product_id)
    )
    return {row.product_id: row.size for row in await tx.execute(query)}


async def by_skus(tx: AsyncConnection, tenant_id: UUID, skus: Iterable[str]) -> dict[str, Variant]:
    """The tenant's live variants by SKU."""
    found = await live_by_sku(tx, variants, _FIELDS, tenant_id, skus)
    return {sku: _variant(row) for sku, row in found.items()}


def _variant(row: RowMapping) -> Variant:
    return Variant(**row)


def _row(variant: Variant, key: str = "id") -> dict[str, Any]:
    row = {name: value for name, value in asdict(variant).items() if name not in _MONEY}
    row[key] = row.pop("id")
    return row
