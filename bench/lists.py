"""Lists of a business with many rows in each table: how long a page takes, at the beginning and
where a cursor leads; and what a count that is dated back asks of a long ledger. No HTTP: what is
measured are the store's statements, under the app role and its policies."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from bench.filled import fill, nth
from bench.ground import Ground
from core.ids import uuid7
from core.paging import MAX_COUNTED, Part, Span
from core.settings import Settings
from store.business import locations, taxes
from store.catalog import categories, search
from store.catalog.search import Filters
from store.crm import customers
from store.crm.terms import wanted
from store.inventory import purchasing, stock, suppliers, transfers
from store.inventory import reading as inventory_reading
from store.kit import audit
from store.kit.engine import PUBLIC, Database, Scope, Transaction
from store.people import access_keys, invitations, members, profiles, sessions
from store.people import users as auth
from store.pos import reading as pos_reading
from store.pos.reading import SaleFilters

_DATABASE = "bench_lists"
_LIMIT = 20
_REPEATS = 5

Listing = Callable[[Transaction, Span], Awaitable[Part[Any]]]


@dataclass(frozen=True, slots=True)
class ListRun:
    """`first_ms` is a first page with its total, `beyond_ms` the page that a cursor leads to from
    row 10,000 on; both medians, None where there is no such page."""

    name: str
    rows: int
    first_ms: float
    beyond_ms: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(ground: Ground, rows: int) -> list[ListRun]:
    """Every list of a business with `rows` rows in each table."""
    settings = Settings.model_validate({"database_url": ground.fresh(_DATABASE, "holdfast")})
    try:
        return asyncio.run(_measure(settings, rows))
    finally:
        ground.drop(_DATABASE)


async def _measure(settings: Settings, rows: int) -> list[ListRun]:
    tenant = uuid7()
    await fill(settings.owner_database_url, tenant, rows)
    db = Database(settings.app_database_url, pool_size=1)
    try:
        runs = [
            await _list(db, Scope(tenant), name, listing, rows) for name, listing in _own(tenant)
        ]
        runs += [await _list(db, PUBLIC, name, listing, rows) for name, listing in _public(tenant)]
        for name, scope, whole in _whole(tenant):
            runs.append(await _at_once(db, scope, name, whole, rows))
    finally:
        await db.close()
    return [*runs, await _count(settings.host_database_url, tenant, rows)]


def _own(tenant: UUID) -> list[tuple[str, Listing]]:
    """What a business asks about itself."""
    first, second = nth(0, tenant), nth(1, tenant)
    reading, sold, seen = inventory_reading, SaleFilters, SaleFilters(seen_by=str(uuid7()))
    return [
        ("members", lambda tx, at: members.listed(tx, tenant, at)),
        ("invitations", invitations.listed),
        ("service keys", lambda tx, at: access_keys.listed(tx, tenant, None, at)),
        ("audit log", lambda tx, at: audit.entries(tx, audit.Filters(), at)),
        ("audit log of one", lambda tx, at: audit.entries(tx, audit.Filters(actor_id=second), at)),
        ("locations", lambda tx, at: locations.rows.part(tx, at)),
        ("tax rates", lambda tx, at: taxes.rates.part(tx, at)),
        ("movements", lambda tx, at: _movements(tx, tenant, at, by_occurrence=False)),
        ("movements as they happened", lambda tx, at: _movements(tx, tenant, at)),
        ("reservations", lambda tx, at: reading.list_reservations(tx, None, None, None, at)),
        ("of an item", lambda tx, at: reading.list_reservations(tx, None, second, None, at)),
        ("low stock", lambda tx, at: reading.low_stock(tx, None, at)),
        ("transfers at a location", lambda tx, at: transfers.list_transfers(tx, None, second, at)),
        ("suppliers", lambda tx, at: suppliers.rows.part(tx, at)),
        ("purchase orders", lambda tx, at: _purchases(tx, None, at)),
        ("purchase orders of an item", lambda tx, at: _purchases(tx, second, at)),
        ("registers", lambda tx, at: pos_reading.registers(tx, None, at)),
        ("shifts", lambda tx, at: pos_reading.shifts(tx, first, None, at)),
        ("sales", lambda tx, at: pos_reading.sales(tx, sold(), at)),
        ("sales of a cashier", lambda tx, at: pos_reading.sales(tx, sold(cashier=str(second)), at)),
        ("sales that changed", lambda tx, at: pos_reading.sales(tx, sold(), _since(at))),
        ("customers that changed", lambda tx, at: customers.rows.part(tx, _since(at))),
        ("customers by a word", lambda tx, at: customers.found(tx, wanted("c77"), at)),
        ("customers by a word that all have", lambda tx, at: customers.found(tx, wanted("c"), at)),
        ("products that changed", lambda tx, at: search.changed_of(tx, tenant, _since(at))),
        ("sales that a cashier may see", lambda tx, at: pos_reading.sales(tx, seen, at)),
        ("users by a name that nobody has", _unknown),
        ("users", lambda tx, at: profiles.people(tx, at, words=None, role=None, disabled=None)),
    ]


def _since(at: Span) -> Span:
    """All rows, in the order in which they changed."""
    return replace(at, since=datetime(2000, 1, 1, tzinfo=UTC))


def _public(tenant: UUID) -> list[tuple[str, Listing]]:
    """What anybody asks about products."""
    narrowed = {
        "products": Filters(),
        "products of which nothing is there": Filters(in_stock=False),
        "products in a currency that none has": Filters(currency="JPY"),
        "products of a vendor": Filters(tenant_id=tenant),
        "products of a category": Filters(tenant_id=tenant, category="C7"),
        "products by words": Filters(words="s-77"),
    }
    found: list[tuple[str, Listing]] = [
        (name, lambda tx, at, f=filters: search.search(tx, f, "-createdAt", at))
        for name, filters in narrowed.items()
    ]
    return [
        *found,
        ("products by price", _by_price),
        ("products by price in another currency", _by_other_price),
        ("products by a word that all have", _by_common_word),
    ]


async def _by_other_price(tx: Transaction, at: Span) -> Part[Any]:
    return await search.search(tx, Filters(currency="EUR"), "price", at)


async def _by_common_word(tx: Transaction, at: Span) -> Part[Any]:
    return await search.search(tx, Filters(words="s"), "-createdAt", at)


async def _by_price(tx: Transaction, at: Span) -> Part[Any]:
    return await search.search(tx, Filters(min_price_e4=100_000), "price", at)


async def _unknown(tx: Transaction, at: Span) -> Part[Any]:
    return await profiles.people(tx, at, words="nobody", role=None, disabled=None)


async def _movements(
    tx: Transaction, tenant: UUID, at: Span, *, by_occurrence: bool = True
) -> Part[Any]:
    item = nth(0, tenant)
    return await inventory_reading.movements(tx, item, tenant, by_occurrence=by_occurrence, span=at)


async def _purchases(tx: Transaction, item: UUID | None, at: Span) -> Part[Any]:
    return await purchasing.list_purchase_orders(tx, None, None, item, at)


async def _list(db: Database, scope: Scope, name: str, listing: Listing, rows: int) -> ListRun:
    async def read(span: Span) -> Part[Any]:
        async with db.transaction(scope) as tx:
            return await listing(tx, span)

    cursor = (await read(Span(MAX_COUNTED // _LIMIT, _LIMIT))).next_cursor
    first_ms = await _median_ms(lambda: read(Span(1, _LIMIT)))
    if cursor is None:
        return ListRun(name, rows, first_ms, None)
    return ListRun(name, rows, first_ms, await _median_ms(lambda: read(Span(1, _LIMIT, cursor))))


def _whole(tenant: UUID) -> list[tuple[str, Scope, Callable[[Transaction], Awaitable[Any]]]]:
    """What is answered at once, or as far as it goes."""
    first = nth(0, tenant)
    none, own = Filters(in_stock=False), Scope(tenant, first)
    return [
        ("tree of categories", PUBLIC, lambda tx: categories.tree(tx, tenant)),
        ("facets", PUBLIC, lambda tx: search.facets(tx, Filters())),
        ("facets of what is not there", PUBLIC, lambda tx: search.facets(tx, none)),
        ("sessions of one", own, lambda tx: sessions.live_sessions(tx, first)),
        ("businesses of one", own, lambda tx: auth.memberships_of(tx, first)),
        ("addresses of one", own, lambda tx: profiles.addresses_of(tx, first)),
        ("what a supplier sells", own, lambda tx: suppliers.supplied_items(tx, first)),
    ]


async def _at_once(
    db: Database,
    scope: Scope,
    name: str,
    whole: Callable[[Transaction], Awaitable[Any]],
    rows: int,
) -> ListRun:
    async def read() -> None:
        async with db.transaction(scope) as tx:
            await whole(tx)

    return ListRun(name, rows, await _median_ms(read), None)


async def _count(url: str, tenant: UUID, rows: int) -> ListRun:
    """What a count asks that is dated back to the middle of an item's ledger."""
    connection = await asyncpg.connect(url)
    at_ms = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() + rows // 2) * 1000
    keys = ([nth(0, tenant)], [tenant], [tenant], [at_ms])
    statement = stock.TABLES.reads["moved_after"].statement
    try:
        taken_ms = await _median_ms(lambda: connection.fetch(statement, *keys))
    finally:
        await connection.close()
    return ListRun("count dated back", rows, taken_ms, None)


async def _median_ms(work: Callable[[], Awaitable[Any]]) -> float:
    taken = []
    for _ in range(_REPEATS + 1):
        began = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken[1:])
