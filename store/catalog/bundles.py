"""Bundles, and what a sale or a hold needs to know of an item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    SmallInteger,
    Table,
    Uuid,
    delete,
    insert,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store.catalog.products import products
from store.kit.schema import PUBLIC, exempt, metadata, of_tenant

MAX_COMPONENTS = 50
MAX_COMPONENT_QUANTITY = 1_000
MAX_COMPONENT_STEPS = MAX_COMPONENT_QUANTITY * 10**3

# `component_id` is an item's, of one of two tables, hence no foreign key: a transaction that
# deletes an item looks here first, under the lock of the catalogue.
bundle_components = Table(
    "bundle_components",
    metadata,
    Column(
        "bundle_id",
        Uuid,
        ForeignKey("products.id"),
        primary_key=True,
        info=exempt(no_tenant="the bundle is read behind the wall first"),
    ),
    Column("component_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("position", SmallInteger, nullable=False),
    CheckConstraint(f"quantity BETWEEN 1 AND {MAX_COMPONENT_STEPS}", name="quantity_within_bounds"),
    CheckConstraint("bundle_id <> component_id", name="not_itself"),
    Index("ix_bundle_components_component", "component_id"),
    info=of_tenant(app="SELECT, INSERT, DELETE", public=PUBLIC),
)

# A parent is a product that has variants: it is not stocked or sold itself. A service is sold and
# never stocked.
ItemKind = Literal["simple", "variant", "bundle", "parent", "service"]


class Component(NamedTuple):
    """A part of a bundle: so many steps of an item in each, of 10^-decimals units."""

    item_id: UUID
    quantity: int
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """Whose an item is and what. The tenant never changes, nor whether it is a bundle, a service
    or a variant; a simple product becomes a parent with its first variant. `decimals` of its
    quantities never change once its stock has moved."""

    tenant_id: UUID
    product_id: UUID
    kind: ItemKind
    decimals: int


@dataclass(frozen=True, slots=True)
class SaleItem:
    """An item as a till or a cart takes it. `name` tells a variant's options too; `price_minor`
    is that of one `unit`, in minor units of `currency`; `components` are those of a bundle, in
    order."""

    item_id: UUID
    product_id: UUID
    variant_id: UUID | None
    name: str
    sku: str
    barcode: str | None
    price_minor: int
    currency: str
    tax_class_id: UUID | None
    kind: ItemKind
    components: tuple[Component, ...] = ()
    decimals: int = 0
    unit: str = "piece"


_KIND = """CASE WHEN EXISTS (SELECT FROM product_variants AS own
  WHERE own.product_id = p.id AND own.deleted_at IS NULL) THEN 'parent' ELSE p.kind END"""

_ITEM_FACTS = text(f"""
SELECT p.id AS item_id, p.tenant_id, p.id AS product_id, {_KIND} AS kind,
  p.quantity_decimals AS decimals
FROM products p WHERE p.id = ANY(:ids) AND p.deleted_at IS NULL
UNION ALL
SELECT v.id, v.tenant_id, v.product_id, 'variant', coalesce(p.quantity_decimals, 0)
FROM product_variants v LEFT JOIN products p ON p.id = v.product_id
WHERE v.id = ANY(:ids) AND v.deleted_at IS NULL
""")  # noqa: S608 - our own text

# One that is deleted has its tenant still, and counts as simple: its stock is there all the same.
_OWNERS = f"""
SELECT p.id, p.tenant_id, CASE WHEN p.deleted_at IS NULL THEN {_KIND} ELSE 'simple' END,
  p.quantity_decimals
FROM products p WHERE p.id = ANY($1::uuid[])
UNION ALL
SELECT v.id, v.tenant_id, CASE WHEN v.deleted_at IS NULL THEN 'variant' ELSE 'simple' END,
  coalesce(p.quantity_decimals, 0)
FROM product_variants v LEFT JOIN products p ON p.id = v.product_id
WHERE v.id = ANY($1::uuid[])
"""  # noqa: S608 - our own text

# Codes are looked up first, so that each kind of look-up walks its own index.
_SALE_ITEMS = f"""
WITH wanted AS MATERIALIZED (
  SELECT unnest($1::uuid[]) AS id
  UNION SELECT item_id FROM item_codes WHERE kind = 'sku' AND code = ANY($2::text[])
  UNION SELECT item_id FROM item_codes WHERE kind = 'barcode' AND code = ANY($3::text[]))
SELECT p.id AS item_id, p.id AS product_id, NULL::uuid AS variant_id, p.name, p.sku, p.barcode,
  coalesce(c.price_minor, p.price_minor) AS price_minor,
  CASE WHEN c.item_id IS NULL THEN p.currency ELSE c.currency END AS currency,
  p.tax_class_id, {_KIND} AS kind, NULL::jsonb AS options, p.quantity_decimals AS decimals, p.unit
FROM wanted w JOIN products p ON p.id = w.id
LEFT JOIN item_prices c ON c.item_id = p.id AND c.currency = $4::bpchar
WHERE p.deleted_at IS NULL OR $5
UNION ALL
SELECT v.id, v.product_id, v.id, p.name, v.sku, v.barcode,
  coalesce(c.price_minor, v.price_minor, d.price_minor, p.price_minor),
  CASE WHEN c.item_id IS NOT NULL OR (v.price_minor IS NULL AND d.item_id IS NOT NULL)
    THEN $4::bpchar ELSE p.currency END,
  coalesce(v.tax_class_id, p.tax_class_id), 'variant', v.options, p.quantity_decimals, p.unit
FROM wanted w JOIN product_variants v ON v.id = w.id JOIN products p ON p.id = v.product_id
LEFT JOIN item_prices c ON c.item_id = v.id AND c.currency = $4::bpchar
LEFT JOIN item_prices d ON d.item_id = p.id AND d.currency = $4::bpchar
WHERE (v.deleted_at IS NULL AND p.deleted_at IS NULL) OR $5
"""  # noqa: S608 - our own text

_COMPONENTS = """
SELECT c.bundle_id, c.component_id, c.quantity, coalesce(p.quantity_decimals, 0)
FROM bundle_components c LEFT JOIN product_variants v ON v.id = c.component_id
LEFT JOIN products p ON p.id = coalesce(v.product_id, c.component_id)
WHERE c.bundle_id = ANY({}) ORDER BY c.bundle_id, c.position"""


class ItemOwner(NamedTuple):
    """Whose an item is, and what. The tenant never changes."""

    tenant_id: UUID
    kind: ItemKind
    decimals: int


async def owners_of(lookup: asyncpg.Connection, item_ids: Iterable[UUID]) -> dict[UUID, ItemOwner]:
    """Of the items (products or variants) that this scope shows, by id: a tenant's scope shows it
    its deleted ones too, the public one does not."""
    rows = await lookup.fetch(_OWNERS, list(item_ids))
    return {item_id: ItemOwner(*owner) for item_id, *owner in rows}


async def facts_of(tx: AsyncConnection, item_ids: Iterable[UUID]) -> dict[UUID, ItemFacts]:
    """What this scope shows of items that are not deleted, by id."""
    found = await tx.execute(_ITEM_FACTS, {"ids": list(item_ids)})
    return {
        row.item_id: ItemFacts(row.tenant_id, row.product_id, row.kind, row.decimals)
        for row in found
    }


async def sale_items(
    lookup: asyncpg.Connection,
    ids: Iterable[UUID] = (),
    skus: Iterable[str] = (),
    barcodes: Iterable[str] = (),
    *,
    currency: str | None = None,
    deleted: bool = False,
) -> list[SaleItem]:
    """The tenant's items by id, SKU or barcode, each once, those that are not deleted, or with
    `deleted` those too, by id; what is missing was not found. Prices are those in `currency` where
    there are any, else in each product's own. Needs a tenant's scope: SKUs and barcodes are a
    business' own."""
    wanted = list(ids), list(skus), list(barcodes)
    rows = await lookup.fetch(_SALE_ITEMS, *wanted, currency, deleted)
    bundles = [row["item_id"] for row in rows if row["kind"] == "bundle"]
    parts = {}
    if bundles:
        parts = _by_bundle(await lookup.fetch(_COMPONENTS.format("$1::uuid[]"), bundles))
    return [_sale_item(row, parts.get(row["item_id"], ())) for row in rows]


def _sale_item(row: asyncpg.Record, components: tuple[Component, ...]) -> SaleItem:
    options = row["options"]
    name = named_by_options(row["name"], options and msgspec.json.decode(options))
    return SaleItem(
        item_id=row["item_id"],
        product_id=row["product_id"],
        variant_id=row["variant_id"],
        name=name,
        sku=row["sku"],
        barcode=row["barcode"],
        price_minor=row["price_minor"],
        currency=row["currency"],
        tax_class_id=row["tax_class_id"],
        kind=row["kind"],
        components=components,
        decimals=row["decimals"],
        unit=row["unit"],
    )


def named_by_options(name: str, options: Mapping[str, str] | None) -> str:
    """What a till calls a product, or its variant with these options."""
    return f"{name} ({', '.join(options.values())})" if options else name


async def components_of(
    tx: AsyncConnection, bundle_ids: Iterable[UUID]
) -> dict[UUID, tuple[Component, ...]]:
    """The parts of bundles, in order; without what is no bundle."""
    found = await tx.execute(text(_COMPONENTS.format(":ids")), {"ids": list(bundle_ids)})
    return _by_bundle(found)


def _by_bundle(rows: Iterable[Any]) -> dict[UUID, tuple[Component, ...]]:
    found: dict[UUID, tuple[Component, ...]] = {}
    for bundle_id, *part in rows:
        found[bundle_id] = (*found.get(bundle_id, ()), Component(*part))
    return found


async def put_components(
    tx: AsyncConnection, tenant_id: UUID, parts: Mapping[UUID, Sequence[Component]]
) -> None:
    """Gives each bundle these parts, in place of those that it had."""
    if not parts:
        return
    await tx.execute(
        delete(bundle_components).where(bundle_components.c.bundle_id.in_(list(parts)))
    )
    rows = [
        {
            "bundle_id": bundle_id,
            "component_id": part.item_id,
            "tenant_id": tenant_id,
            "quantity": part.quantity,
            "position": position,
        }
        for bundle_id, components in parts.items()
        for position, part in enumerate(components)
    ]
    if rows:
        await tx.execute(insert(bundle_components), rows)


async def bundles_with(tx: AsyncConnection, item_ids: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """By item, the bundles (not deleted) that it is a part of; without items that are in none."""
    query = (
        select(bundle_components.c.component_id, bundle_components.c.bundle_id)
        .join(products, products.c.id == bundle_components.c.bundle_id)
        .where(
            bundle_components.c.component_id.in_(list(item_ids)), products.c.deleted_at.is_(None)
        )
    )
    found: dict[UUID, list[UUID]] = {}
    for row in await tx.execute(query):
        found.setdefault(row.component_id, []).append(row.bundle_id)
    return found
