"""Lists of products: filters, order, pages, and the facets of what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    Uuid,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import TableValuedAlias
from sqlalchemy.types import BigInteger

from core.paging import MAX_COUNTED, Part, Span
from store.catalog.bundles import bundle_components
from store.catalog.categories import paths_under
from store.catalog.items import item_prices
from store.catalog.products import FIELDS, Product, product_of, products
from store.catalog.ranking import found_by_words, ranked
from store.catalog.variants import variants
from store.catalog.words import product_words
from store.inventory.stock import stock_levels
from store.kit.changes import changed
from store.kit.paging import Order, Row, Walk, examined, falling, merged, rising

MAX_FOUND = MAX_COUNTED
MAX_VALUES = 50
MAX_OPTION_FILTERS = 5

# Where one price facet ends and the next begins, in major units of whatever currency.
PRICE_STEPS = (5, 10, 25, 50, 100, 250, 500, 1_000, 5_000)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS_E4 = [step * 10_000 for step in PRICE_STEPS]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; None narrows nothing. `words` is text as people type it
    (`store.catalog.lexemes`), all of whose words a product must have. `category` takes in those
    below it. `currency` leaves what has a price in it, and prices, in ten-thousandths of a major
    unit, then compare in it. `options` are of one variant together; SKU and barcode those of a
    product or of one of its variants. `in_stock` is as the function of that name says."""

    tenant_id: UUID | None = None
    category: str | None = None
    currency: str | None = None
    min_price_e4: int | None = None
    max_price_e4: int | None = None
    sku: str | None = None
    barcode: str | None = None
    words: str | None = None
    options: Mapping[str, str] | None = None
    in_stock: bool | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything but words and a business is asked."""
        rest = replace(self, tenant_id=None, words=None, options=self.options or None)
        return rest != Filters()


class Facet(NamedTuple):
    """How many products have a value. `kind` is category, price, option, vendor or in_stock;
    `value` a path, a number of a step in PRICE_STEPS (0 is below the first), an option's value
    (its name is in `name`), an id, or true or false."""

    kind: str
    name: str
    value: str
    products: int


async def search(tx: AsyncConnection, filters: Filters, sort: str, span: Span) -> Part[Product]:
    """Part of the products. `sort` is createdAt, name or price, with a leading minus for
    descending, or relevance, of `words`; ties go by id. Of what more than MAX_FOUND products have
    as `words`, some are found (`store.catalog.ranking`)."""
    name, ordered = sort.removeprefix("-"), falling if sort.startswith("-") else rising
    narrowed, also = await _by_index(tx, filters), _asked_of_each(filters)
    if name == "relevance":
        asked = [*narrowed, *_priced(filters), *_sold_in(filters.currency)]
        best = _found(filters)
        found = await ranked(tx, best, asked if filters.narrows else [], also, span)
        return found.map(product_of)
    if filters.words is not None:
        narrowed.append(products.c.id.in_(select(_found(filters).c.product_id)))
    query = select(*FIELDS).where(*narrowed)
    if name != "price":
        listed, order = _in_order(query, filters, name, ordered)
        also = [*_priced(filters), *_sold_in(filters.currency), *also]
        walks = [Walk(listed, order, also, counted=query)]
    elif filters.currency is None:
        # The range is one of the order's.
        order = ordered(products.c.price_e4, products.c.id)
        walks = [Walk(query.where(*_priced(filters)), order, also)]
    else:
        walks = _by_price_in(filters, filters.currency, narrowed, also, ordered)
    found = await merged(tx, walks, span, f"{sort} {filters.currency}")
    return found.map(product_of)


def _in_order(
    query: Select[Any], filters: Filters, name: str, ordered: Callable[..., Order]
) -> tuple[Select[Any], Order]:
    """A query by age or by name, by the index that has this order."""
    if name != "name":
        return query, ordered(products.c.created_at, products.c.id)
    words = product_words.c
    query = query.select_from(product_words.join(products, products.c.id == words.product_id))
    if filters.tenant_id is not None:
        query = query.where(words.tenant_id == filters.tenant_id)
    return query, ordered(words.sort_key, words.product_id)


async def changed_of(
    tx: AsyncConnection, tenant_id: UUID, span: Span
) -> Part[tuple[Product, datetime | None]]:
    """A tenant's products that have changed, or a variant of theirs, each with when it was
    deleted."""
    query = select(*FIELDS, products.c.deleted_at).where(products.c.tenant_id == tenant_id)
    found = await changed(tx, query, products.c.changed_at, products.c.id, span)

    def shaped(row: Row) -> tuple[Product, datetime | None]:
        fields = {name: value for name, value in row.items() if name != "deleted_at"}
        return product_of(fields), row["deleted_at"]

    return found.map(shaped)


def _by_price_in(
    filters: Filters,
    currency: str,
    narrowed: list[ColumnElement[bool]],
    also: list[ColumnElement[bool]],
    ordered: Callable[..., Order],
) -> list[Walk]:
    """The products whose own price is in a currency, and those that have another one in it: each
    by the index that has their prices in order."""
    p, other = products.c, item_prices.alias("listed")
    own = select(*FIELDS).where(p.currency == currency, *narrowed, *_between(filters, p.price_e4))
    query = (
        select(*FIELDS)
        .join_from(other, products, p.id == other.c.item_id, isouter=True)
        .where(other.c.currency == currency, *_between(filters, other.c.price_e4))
    )
    shown = [p.currency != currency, *narrowed]
    if len(narrowed) == 1:
        # Prices of variants and of what is deleted stand between, and may be nearly all.
        asked = [*shown, *also]
    else:
        query, asked = query.where(*shown), also
    return [
        Walk(own, ordered(p.price_e4, p.id), also),
        Walk(query, ordered(other.c.price_e4, other.c.item_id), asked),
    ]


async def facets(tx: AsyncConnection, filters: Filters) -> tuple[list[Facet], int]:
    """What the products that `search` would find have in common, and how many of them were
    counted: MAX_FOUND at most. Of each kind (and name of an option, all options together) the
    MAX_VALUES most frequent; most frequent first."""
    p = products.c
    query = select(
        p.id,
        p.tenant_id,
        p.category,
        _price(filters.currency).label("price_e4"),
        in_stock().label("in_stock"),
    ).where(*await _by_index(tx, filters))
    if filters.words is not None:
        query = query.where(p.id.in_(select(_found(filters).c.product_id)))
    also = [*_priced(filters), *_sold_in(filters.currency), *_asked_of_each(filters)]
    if also:
        walk = Walk(query, falling(p.created_at, p.id), also)
        query = walk.until(await examined(tx, [walk])).query
    found = query.limit(MAX_FOUND).cte("found")
    steps = cast(literal(_STEPS_E4, ARRAY(BigInteger)), ARRAY(BigInteger))
    pairs = func.jsonb_each_text(variants.c.options).table_valued("key", "value").lateral()
    options = (
        select(
            literal("option").label("kind"),
            pairs.c.key.label("name"),
            pairs.c.value.label("value"),
            func.count(found.c.id.distinct()).label("size"),
        )
        .select_from(found)
        .join(variants, variants.c.product_id == found.c.id)
        .join(pairs, literal(True))
        .where(variants.c.deleted_at.is_(None))
        .group_by(pairs.c.key, pairs.c.value)
    )
    counts = [
        _counted(found, "category", found.c.category).where(found.c.category.is_not(None)),
        _counted(found, "price", func.width_bucket(found.c.price_e4, steps)),
        _counted(found, "vendor", found.c.tenant_id),
        _counted(found, "in_stock", found.c.in_stock),
        options,
        _counted(found, "all", literal("")),
    ]
    ranked = [count.order_by(literal_column("size").desc()).limit(MAX_VALUES) for count in counts]
    whole = union_all(*(select(query.subquery()) for query in ranked))
    rows = [Facet(*row) for row in await tx.execute(whole)]
    rows.sort(key=lambda facet: (-facet.products, facet.name, facet.value))
    counted = sum(facet.products for facet in rows if facet.kind == "all")
    return [facet for facet in rows if facet.kind != "all"], counted


class ExportPlace(NamedTuple):
    """After which product a page of an export begins: bundles come last, then by age.
    `created_at_us` is in microseconds since the epoch."""

    is_bundle: bool
    created_at_us: int
    id: UUID

    @classmethod
    def of(cls, product: Product) -> ExportPlace:
        since = product.created_at - _EPOCH
        return cls(product.kind == "bundle", since // timedelta(microseconds=1), product.id)


async def export_page(
    tx: AsyncConnection, tenant_id: UUID, after: ExportPlace | None, limit: int
) -> list[Product]:
    """A tenant's products in the order of an export, from after `after` on."""
    found: list[Product] = []
    for is_bundle in (False, True):
        if len(found) == limit or (after is not None and after.is_bundle > is_bundle):
            continue
        query = (
            select(*FIELDS)
            .where(
                products.c.tenant_id == tenant_id,
                products.c.deleted_at.is_(None),
                products.c.kind == ("bundle" if is_bundle else "simple"),
            )
            .order_by(products.c.created_at, products.c.id)
            .limit(limit - len(found))
        )
        if after is not None and after.is_bundle == is_bundle:
            moment = _EPOCH + timedelta(microseconds=after.created_at_us)
            place = tuple_(literal(moment), literal(after.id, Uuid))
            query = query.where(tuple_(products.c.created_at, products.c.id) > place)
        found += [product_of(row) for row in (await tx.execute(query)).mappings()]
    return found


def _counted(found: Any, kind: str, value: ColumnElement[Any]) -> Select[str, str, str, int]:
    shown = cast(value, Text).label("value")
    return (
        select(
            literal(kind).label("kind"),
            literal("").label("name"),
            shown,
            func.count().label("size"),
        )
        .select_from(found)
        .group_by(literal_column("value"))
    )


def in_stock() -> ColumnElement[bool]:
    """Whether more of a product is on hand than reserved at any of its business's locations, as
    of the last commit; backorder does not count. A product with variants is in stock with one of
    them, a bundle where one location has all its parts."""
    own, of_variant, anchor, part = (stock_levels.alias() for _ in range(4))
    first, each = bundle_components.alias(), bundle_components.alias()
    p = products.c
    there = select(part).where(
        part.c.product_id == each.c.component_id,
        part.c.location_id == anchor.c.location_id,
        part.c.on_hand - part.c.reserved >= each.c.quantity,
    )
    lacking = select(each).where(each.c.bundle_id == p.id, ~there.correlate(each, anchor).exists())
    return or_(
        _any(own.c.product_id == p.id, own.c.on_hand > own.c.reserved),
        _any(
            variants.c.product_id == p.id,
            variants.c.deleted_at.is_(None),
            of_variant.c.product_id == variants.c.id,
            of_variant.c.on_hand > of_variant.c.reserved,
        ),
        and_(
            p.kind == "bundle",
            _any(
                first.c.bundle_id == p.id,
                first.c.position == 0,
                anchor.c.product_id == first.c.component_id,
                ~lacking.correlate(products, anchor).exists(),
            ),
        ),
    )


def _any(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """EXISTS, as Postgres walks it for each row by index. The plain one it may hash, and then
    reads all variants of all businesses for a page of twenty."""
    found = select(literal(True)).where(*conditions).limit(1).correlate(products)
    return found.scalar_subquery().is_not(None)


def _price(currency: str | None) -> ColumnElement[Any]:
    """A product's price in a currency, null where it has none; without one its own."""
    if currency is None:
        return products.c.price_e4
    other = select(item_prices.c.price_e4).where(
        item_prices.c.item_id == products.c.id, item_prices.c.currency == currency
    )
    return case(
        (products.c.currency == currency, products.c.price_e4), else_=other.scalar_subquery()
    )


async def _by_index(tx: AsyncConnection, filters: Filters) -> list[ColumnElement[bool]]:
    """What narrows a list by an index that has its order, or to few."""
    c = products.c
    conditions: list[ColumnElement[bool]] = [c.deleted_at.is_(None)]
    if filters.tenant_id is not None:
        conditions.append(c.tenant_id == filters.tenant_id)
    if filters.category is not None:
        paths = await paths_under(tx, filters.category, filters.tenant_id)
        # One path walks its index in the order of the list; several are collected first.
        conditions.append(c.category == paths[0] if len(paths) == 1 else c.category.in_(paths))
    for name, code in (("sku", filters.sku), ("barcode", filters.barcode)):
        if code is not None:
            conditions.append(c.id.in_(_with_code(name, code)))
    return conditions


def _found(filters: Filters) -> TableValuedAlias:
    return found_by_words(filters.words or "", filters.tenant_id, MAX_FOUND + 1)


def _asked_of_each(filters: Filters) -> list[ColumnElement[bool]]:
    """What each product has to be asked, beside its price."""
    c = products.c
    conditions = []
    if filters.in_stock is not None:
        conditions.append(in_stock() if filters.in_stock else not_(in_stock()))
    if filters.options:
        wanted = cast(dict(filters.options), JSONB)
        of_product = exists().where(
            variants.c.product_id == c.id,
            variants.c.deleted_at.is_(None),
            variants.c.options.contains(wanted),
        )
        conditions.append(of_product)
    return conditions


def _sold_in(currency: str | None) -> list[ColumnElement[bool]]:
    if currency is None:
        return []
    c = products.c
    other = exists().where(item_prices.c.item_id == c.id, item_prices.c.currency == currency)
    return [or_(c.currency == currency, other)]


def _priced(filters: Filters) -> list[ColumnElement[bool]]:
    return _between(filters, _price(filters.currency))


def _between(filters: Filters, price: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    conditions = []
    if filters.min_price_e4 is not None:
        conditions.append(price >= filters.min_price_e4)
    if filters.max_price_e4 is not None:
        conditions.append(price <= filters.max_price_e4)
    return conditions


def _with_code(name: str, code: str) -> Any:
    """Ids of the products that have a code themselves or in a variant."""
    own = select(products.c.id).where(products.c[name] == code, products.c.deleted_at.is_(None))
    of_variant = select(variants.c.product_id).where(
        variants.c[name] == code, variants.c.deleted_at.is_(None)
    )
    return union_all(own, of_variant)
