"""What the catalogue does: every write is one transaction with its event and its answer."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from uuid import UUID

from core.clock import Clock
from core.errors import Conflict, FieldError, NotFound
from core.principal import Principal
from core.request import RequestKey
from deployments.catalog import categories
from deployments.catalog.rules import (
    CREATED,
    DELETED,
    UPDATED,
    Author,
    Outcome,
    Shelf,
    changed,
    created,
    event_data,
    read_rows,
)
from deployments.catalog.schemas import (
    CategorySize,
    ImportResult,
    NewProduct,
    ProductChanges,
    ProductImport,
    ProductQuery,
    ProductView,
    RowError,
    RowResult,
)
from gateway.schemas import Envelope, Message, Page, Pagination
from store import catalog, catalog_items, catalog_search
from store.business import business_currency
from store.catalog import Product
from store.catalog_search import Filters
from store.commands import Recorded, once
from store.engine import PUBLIC, Database, Scope
from store.outbox import Event, emit, emit_all


class Catalog:
    """The catalogue of all businesses. Reading is open to everyone; a write acts for the
    principal's business, or as a platform admin for the business that has the product."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def page(self, query: ProductQuery) -> Page[ProductView]:
        filters = Filters(
            tenant_id=query.vendor_id,
            category=query.category,
            currency=query.currency,
            min_price_e4=_e4(query.min_price, ROUND_CEILING),
            max_price_e4=_e4(query.max_price, ROUND_FLOOR),
            sku=query.sku,
            barcode=query.barcode,
            words=query.q,
        )
        async with self._db.transaction(PUBLIC) as tx:
            found, total = await catalog_search.search(
                tx, filters, query.sort, limit=query.limit, offset=query.offset
            )
        return Page(
            data=[ProductView.of(product) for product in found],
            pagination=Pagination(page=query.page, limit=query.limit, total=total),
        )

    async def categories(self, vendor_id: UUID | None) -> Envelope[list[CategorySize]]:
        async with self._db.transaction(PUBLIC) as tx:
            found = await catalog_search.categories(tx, vendor_id)
        return Envelope(data=[CategorySize(category=name, products=n) for name, n in found])

    async def get(self, product_id: UUID) -> Envelope[ProductView]:
        """Raises NotFound for what never was or is deleted."""
        async with self._db.transaction(PUBLIC) as tx:
            product = await catalog.get(tx, product_id)
        if product is None:
            raise NotFound("There is no such product.")
        return Envelope(data=ProductView.of(product))

    async def create(self, principal: Principal, key: RequestKey, body: NewProduct) -> Recorded:
        """Raises Conflict if another product has the SKU or barcode."""
        tenant = _business(principal)
        async with self._db.transaction(Scope(tenant)) as tx:

            async def work() -> Recorded:
                await catalog.lock_catalog(tx, tenant)
                author = self._author(principal, tenant, await business_currency(tx, tenant))
                product = created(body, author)
                await categories.ensure(tx, tenant, [product.category], author.now)
                await catalog.add(tx, [product])
                await emit(tx, tenant, product.id, CREATED, event_data(product))
                return _answer(201, product)

            return await once(tx, tenant, key, work)

    async def change(
        self, principal: Principal, key: RequestKey, product_id: UUID, body: ProductChanges
    ) -> Recorded:
        """Raises NotFound for another business' product too; Conflict if the version is not the
        one that was asked for, or another product has the SKU or barcode."""
        tenant = await self._owner(principal, product_id)
        async with self._db.transaction(Scope(tenant)) as tx:

            async def work() -> Recorded:
                await catalog.lock_catalog(tx, tenant)
                before = _found(await catalog.get(tx, product_id))
                if body.version is not None and body.version != before.version:
                    raise _moved_on(before)
                after = changed(before, body, self._now())
                if after is not before:
                    await categories.ensure(tx, tenant, [after.category], after.updated_at)
                    await catalog.replace(tx, [after])
                    await emit(tx, tenant, product_id, UPDATED, event_data(after, before))
                return _answer(200, after)

            return await once(tx, tenant, key, work)

    async def delete(self, principal: Principal, key: RequestKey, product_id: UUID) -> Recorded:
        """Raises NotFound for what is deleted already, and for another business' product."""
        tenant = await self._owner(principal, product_id)
        async with self._db.transaction(Scope(tenant)) as tx:

            async def work() -> Recorded:
                await catalog.lock_catalog(tx, tenant)
                product = _found(await catalog.get(tx, product_id))
                await catalog.remove(tx, product_id, self._now())
                await emit(tx, tenant, product_id, DELETED, event_data(product))
                return _recorded(200, Message(message="Product deleted"))

            return await once(tx, tenant, key, work)

    async def import_rows(
        self, principal: Principal, key: RequestKey, body: ProductImport
    ) -> Recorded:
        """Creates or changes a product per row, by SKU, all that can be in one transaction."""
        tenant = _business(principal)
        rows = read_rows(body.rows)
        skus = {row.sku for row in rows if not isinstance(row, Outcome)}
        barcodes = {row.barcode for row in rows if not isinstance(row, Outcome) and row.barcode}
        async with self._db.transaction(Scope(tenant)) as tx:

            async def work() -> Recorded:
                await catalog.lock_catalog(tx, tenant)
                author = self._author(principal, tenant, await business_currency(tx, tenant))
                shelf = Shelf(
                    await catalog.by_skus(tx, tenant, skus),
                    await catalog_items.code_owners(tx, tenant, "barcode", barcodes),
                )
                outcomes = [
                    row if isinstance(row, Outcome) else shelf.place(number, row, author)
                    for number, row in enumerate(rows)
                ]
                paths = {o.product.category for o in outcomes if o.product}
                await categories.ensure(tx, tenant, paths, author.now)
                await catalog.add(tx, _products(outcomes, "created"))
                await catalog.replace(tx, _products(outcomes, "updated"))
                await emit_all(tx, tenant, _events(outcomes))
                return _recorded(200, Envelope(data=_result(outcomes)))

            return await once(tx, tenant, key, work)

    async def _owner(self, principal: Principal, product_id: UUID) -> UUID:
        """The business in whose name a product is written."""
        if principal.tenant_id is not None:
            return principal.tenant_id
        async with self._db.transaction(PUBLIC) as tx:
            owner = await catalog.vendor_of(tx, product_id)
        if owner is None:
            raise NotFound("There is no such product.")
        return owner

    def _author(self, principal: Principal, tenant: UUID, currency: str | None) -> Author:
        if currency is None:
            raise NotFound("Your business does not exist any more.")
        return Author(tenant, UUID(principal.id), self._now(), currency)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)


def _business(principal: Principal) -> UUID:
    if principal.tenant_id is None:
        raise RuntimeError("the route lets only members of a business through")
    return principal.tenant_id


def _found(product: Product | None) -> Product:
    if product is None:
        raise NotFound("There is no such product.")
    return product


def _moved_on(product: Product) -> Conflict:
    message = f"is not the product's version, which is {product.version}"
    return Conflict(
        "The product has changed since you read it.",
        errors=[FieldError("version", message)],
        extra={"currentVersion": product.version},
    )


def _e4(price: Decimal | None, rounding: str) -> int | None:
    return None if price is None else int(price.scaleb(4).to_integral_value(rounding))


def _products(outcomes: list[Outcome], status: str) -> list[Product]:
    return [o.product for o in outcomes if o.product is not None and o.status == status]


def _events(outcomes: list[Outcome]) -> list[Event]:
    return [
        Event(o.product.id, UPDATED if o.before else CREATED, event_data(o.product, o.before))
        for o in outcomes
        if o.product is not None and o.status in ("created", "updated")
    ]


def _result(outcomes: list[Outcome]) -> ImportResult:
    sizes = Counter(outcome.status for outcome in outcomes)
    return ImportResult(
        created=sizes["created"],
        updated=sizes["updated"],
        unchanged=sizes["unchanged"],
        rejected=sizes["rejected"],
        rows=[
            RowResult(
                sku=o.sku,
                status=o.status,
                id=o.product.id if o.product else None,
                errors=[RowError(field=e.field, message=e.message) for e in o.errors],
            )
            for o in outcomes
        ],
    )


def _answer(status: int, product: Product) -> Recorded:
    return _recorded(status, Envelope(data=ProductView.of(product)))


def _recorded(
    status: int, body: Envelope[ProductView] | Envelope[ImportResult] | Message
) -> Recorded:
    return Recorded(status, body.model_dump_json(by_alias=True).encode())
