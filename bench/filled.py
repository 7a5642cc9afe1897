"""Tables with as many rows as one wants, of one business: what its lists are read from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from uuid import UUID

import asyncpg

from store.catalog.lexemes import Described, entry_of

# The id of the n-th thing of a business, whatever it is; ids rise with n, as UUIDv7 do.
_NTH = """
CREATE OR REPLACE FUNCTION pg_temp.nth(n bigint, tenant uuid) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex(n), 12, '0') || right(replace(tenant::text, '-', ''), 20))::uuid"""
_AT = "'2026-01-01'::timestamptz + n * interval '1 second'"
_BUSINESS = "INSERT INTO businesses (id, name, currency) VALUES ($1, 'Filled', 'GBP')"
_CATEGORIES = """
INSERT INTO categories (id, tenant_id, name, slug, path, position, created_at, updated_at)
SELECT pg_temp.nth(n, $1), $1, 'C' || n, 'c' || n, 'C' || n, n, now(), now()
FROM generate_series(0, 99) AS n"""
# What stands beside each other in a list goes to different places: every 20th location, every
# 50th person or supplier, every 500th item. The first of each has as much as all others together.
_PLACE, _ITEM = "pg_temp.nth(n % 20, $1)", "pg_temp.nth(n % 500, $1)"
_WHO, _TEXT_WHO = "pg_temp.nth(n % 50, $1)", "pg_temp.nth(n % 50, $1)::text"
_ROW = "id: pg_temp.nth(n, $1), tenant_id: $1"
_MONEY = "currency: 'GBP'"

# By table the columns and what the n-th row has there, n from 0 on.
_ROWS = {
    "users": f"id: pg_temp.nth(n, $1), name: 'N' || n, email: n || '@' || $1::text || '.test',"
    f" password_hash: 'x', role: (ARRAY['customer', 'vendor'])[1 + n % 2], created_at: {_AT}",
    "memberships": f"tenant_id: $1, user_id: pg_temp.nth(n, $1), role: 'staff', created_at: {_AT}",
    # One person works for everybody, and is signed in everywhere.
    "businesses": "id: pg_temp.nth(n, $1), name: 'B' || n",
    "memberships ": "tenant_id: pg_temp.nth(n, $1), user_id: pg_temp.nth(0, $1), role: 'staff',"
    f" created_at: {_AT}",
    "sessions": "id: pg_temp.nth(n, $1), user_id: pg_temp.nth(0, $1), user_agent: 'A',"
    f" created_at: {_AT}, expires_at: now() + interval '1 day' + n * interval '1 millisecond'",
    "refresh_tokens": "hash: decode(lpad(to_hex(n), 64, '0'), 'hex'),"
    " session_id: pg_temp.nth(n, $1), expires_at: now() + interval '2 days'",
    # Nobody has more than fifty.
    "addresses": "id: pg_temp.nth(n, $1), user_id: pg_temp.nth(n / 50, $1), street: 'S',"
    f" city: 'C', zip: 'Z', country: 'GB', created_at: {_AT}",
    "invitations": f"{_ROW}, email: n || '@x.test', role: 'staff',"
    f" nonce: decode(lpad(to_hex(n), 32, '0'), 'hex'), created_by: {_WHO}, created_at: {_AT},"
    f" expires_at: {_AT}",
    "access_keys": f"{_ROW}, user_id: CASE WHEN n % 2 = 0 THEN pg_temp.nth(0, $1) END,"
    " name: 'K' || n, hash: decode(lpad(to_hex(n), 64, '0'), 'hex'),"
    f" scopes: ARRAY['catalog:write'], created_by: {_WHO}, created_at: {_AT}",
    "audit_log": f"{_ROW}, at: {_AT}, actor_id: {_WHO}, actor_role: 'owner',"
    " action: 'thing.' || n % 20, subject: pg_temp.nth(n % 500, $1), changes: '{}'",
    "locations": f"{_ROW}, name: 'L' || n, time_zone: 'UTC', {_MONEY}, created_at: {_AT}",
    "tax_classes": f"{_ROW}, name: 'T' || n, created_at: {_AT}",
    "tax_rates": f"{_ROW}, tax_class_id: pg_temp.nth(n % 100, $1), name: 'R', rate_ppm: 1,"
    f" valid_from: {_AT}",
    "products": f"{_ROW}, created_by: {_WHO}, name: 'N' || n, description: '',"
    f" price_minor: n, price_e4: n * 100, {_MONEY}, category: 'C' || n % 100, images: '[]',"
    f" sku: 'S-' || n, barcode: lpad(n::text, 12, '0'), version: 1, created_at: {_AT},"
    f" updated_at: {_AT}",
    # Each has another price in euros; those in francs are of what is no longer there.
    "item_prices": "item_id: pg_temp.nth(n, $1), currency: 'EUR', tenant_id: $1, price_minor: n,"
    " price_e4: n * 100",
    "item_prices ": "item_id: pg_temp.nth(n + 10000000, $1), currency: 'CHF', tenant_id: $1,"
    " price_minor: n, price_e4: n * 100",
    "stock_items": "product_id: pg_temp.nth(n, $1), tenant_id: $1, discontinued: false,"
    " backorder_limit: 0, sequence: 1, updated_at: now()",
    "stock_levels": "product_id: pg_temp.nth(n, $1), location_id: $1, tenant_id: $1, on_hand: n,"
    " reserved: 0, incoming: 0, low_stock_threshold: 2000000, low: true, floor: 0, sequence: 1,"
    " updated_at: now()",
    "reservations": f"{_ROW}, shard: 0, location_id: {_PLACE},"
    " status: (ARRAY['confirmed', 'released', 'expired'])[1 + n % 3],"
    f" product_ids: ARRAY[{_ITEM}], quantities: ARRAY[1], created_by: {_TEXT_WHO},"
    f" created_at: {_AT}, expires_at: {_AT}, sequence: 1",
    # The holds' lines, and the ledger of one item at the main location, in which some are late.
    "stock_movements": f"product_id: {_ITEM}, location_id: {_PLACE}, sequence: n, tenant_id: $1,"
    " kind: 'reserved', on_hand_delta: 0, reserved_delta: 1, incoming_delta: 0, on_hand_after: 0,"
    " reserved_after: 0, incoming_after: 0, reservation_id: pg_temp.nth(n, $1),"
    f" command_id: pg_temp.nth(n, $1), created_by: 'x', occurred_at: {_AT}, recorded_at: {_AT}",
    "stock_movements ": "product_id: pg_temp.nth(0, $1), location_id: $1, sequence: n,"
    " tenant_id: $1, kind: 'sold', on_hand_delta: -1, reserved_delta: 0, incoming_delta: 0,"
    " on_hand_after: -n, reserved_after: 0, incoming_after: 0, command_id: pg_temp.nth(n, $1),"
    f" created_by: 'x', occurred_at: {_AT} - CASE WHEN n % 50 = 0 THEN interval '1 hour'"
    f" ELSE interval '0' END, recorded_at: {_AT}",
    "stock_transfers": f"{_ROW}, from_location_id: {_PLACE},"
    " to_location_id: pg_temp.nth((n + 1) % 20, $1), status: 'received',"
    f" product_ids: ARRAY[{_ITEM}], quantities: ARRAY[1], created_by: 'x', created_at: {_AT},"
    " sequence: 1",
    "suppliers": f"{_ROW}, name: 'S' || n, lead_time_days: 1, {_MONEY}, version: 1,"
    " created_at: now(), updated_at: now()",
    "customer_groups": f"{_ROW}, name: 'G' || n, version: 1, created_at: {_AT}, updated_at: {_AT}",
    "customers": f"{_ROW}, name: 'C' || n, sort_name: 'c' || n, tax_exempt: false,"
    f" group_id: {_WHO}, tags: '{{}}', metadata: '{{}}', version: 1, created_at: {_AT},"
    f" updated_at: {_AT}",
    "customer_terms": "tenant_id: $1, term: 'c' || n, customer_id: pg_temp.nth(n, $1)",
    "supplier_items": "supplier_id: pg_temp.nth(n / 1000, $1), item_id: pg_temp.nth(n, $1),"
    " tenant_id: $1, cost_minor: 1",
    "purchase_orders": f"{_ROW}, supplier_id: {_WHO}, location_id: $1, {_MONEY},"
    " status: (ARRAY['draft', 'received', 'cancelled'])[1 + n % 3],"
    f" lines: jsonb_build_array(jsonb_build_array({_ITEM}, 1, 1, 0, 0)), item_ids: ARRAY[{_ITEM}],"
    f" created_by: 'x', created_at: {_AT}, updated_at: {_AT}, sequence: 1",
    "pos_registers": f"{_ROW}, location_id: CASE WHEN n = 0 THEN $1 ELSE {_PLACE} END,"
    " name: 'R' || n, discount_limit_percent: 20, next_receipt_number: 1, shifts: 1,"
    " removed: false, sequence: 1, updated_at: now()",
    "pos_shifts": f"{_ROW}, register_id: pg_temp.nth(0, $1), location_id: $1, number: n,"
    f" opened_by: {_TEXT_WHO}, opened_at: {_AT}, opening_float_minor: 0, {_MONEY},"
    f" expected_minor: 0, totals: '{{}}', closed_at: {_AT}, counted_minor: 0",
    "pos_cash_movements": "register_id: pg_temp.nth(0, $1), sequence: n, tenant_id: $1,"
    " shift_id: pg_temp.nth(0, $1), kind: 'no_sale', amount_minor: 0, created_by: 'x',"
    f" occurred_at: {_AT}",
    "pos_sales": f"{_ROW}, location_id: {_PLACE}, register_id: pg_temp.nth(n % 10, $1),"
    " shift_id: pg_temp.nth(n % 50, $1), receipt_number: n, status: 'completed',"
    f" {_MONEY}, total_minor: 1, tax_minor: 0, discount_minor: 0, tips_minor: 0,"
    " tendered_minor: 1, change_minor: 0, prices_include_tax: true,"
    f" created_by: {_TEXT_WHO}, created_at: {_AT}, sequence: n,"
    " client_sale_id: CASE WHEN n % 9 = 0 THEN pg_temp.nth(n, $1) END,"
    " upload_digest: CASE WHEN n % 9 = 0 THEN '\\x00'::bytea END,"
    f" uploaded_by: CASE WHEN n % 9 = 0 THEN 'x' END,"
    f" uploaded_at: CASE WHEN n % 9 = 0 THEN {_AT} END",
    "pos_returns": f"{_ROW}, sale_id: pg_temp.nth(0, $1), location_id: $1,"
    " register_id: pg_temp.nth(0, $1), shift_id: pg_temp.nth(0, $1), receipt_number: n,"
    f" {_MONEY}, total_minor: 0, tax_minor: 0, tips_minor: 0, void: false, created_by: 'x',"
    f" created_at: {_AT}",
    "card_refunds": f"return_id: pg_temp.nth(n, $1), number: 0, tenant_id: $1, charge_id: 'x',"
    f" amount_minor: 1, {_MONEY}, created_at: {_AT}, refunded_at: {_AT}",
    "pos_parked_sales": f"{_ROW}, location_id: {_PLACE}, basket: '{{}}', parked_by: 'x',"
    f" parked_at: {_AT}",
}
TABLES = tuple(_ROWS)
# How a foreign key is looked up is planned once, while the table that it refers to is empty.
_BY_INDEX = "SET LOCAL enable_seqscan = off"
_WORDS_INDEX = "ix_product_words_words"
_AT_ONCE = 20_000


async def fill(
    url: str, tenant_id: UUID, rows: int, tables: Iterable[str] = TABLES, *, words: bool = True
) -> None:
    """Makes a business with `rows` rows in each table, in one transaction, and then, if there are
    products, their `words`. `url` is the owner's, whom no wall stops."""
    tables = list(tables)
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(_BY_INDEX)
            await connection.execute(_NTH)
            await connection.execute(_BUSINESS, tenant_id)
            await connection.execute(_CATEGORIES, tenant_id)
            for table in tables:
                await connection.execute(_insert(table), tenant_id, rows)
        for table in {table.strip() for table in tables}:
            await connection.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        await connection.close()
    if words and "products" in tables:
        await write_words(url, _described(tenant_id, rows))


async def write_words(url: str, described: Iterable[Described]) -> None:
    """Makes the search rows of all products that wait for theirs."""
    connection = await asyncpg.connect(url)
    try:
        index = await connection.fetchval("SELECT pg_get_indexdef($1::regclass)", _WORDS_INDEX)
        await connection.execute(f"DROP INDEX {_WORDS_INDEX}")
        await connection.execute("DELETE FROM product_words WHERE words IS NULL")
        await connection.copy_to_table(
            "product_words",
            source=_lines(described),
            columns=["product_id", "tenant_id", "sort_key", "head", "side", "words", "is_due"],
        )
        await connection.execute("SET maintenance_work_mem = '512MB'")
        await connection.execute(index)
        await connection.execute("VACUUM (ANALYZE) product_words")
    finally:
        await connection.close()


async def _lines(described: Iterable[Described]) -> AsyncIterator[bytes]:
    lines: list[str] = []
    for product in described:
        parts = (str(product.id), str(product.tenant_id), *entry_of(product), "f")
        lines.append("\t".join(parts) + "\n")
        if len(lines) == _AT_ONCE:
            yield "".join(lines).encode()
            lines = []
    yield "".join(lines).encode()


def _described(tenant_id: UUID, rows: int) -> Iterator[Described]:
    """What `products` has of the n-th."""
    for n in range(rows):
        codes, labels = [f"S-{n}", f"{n:012}"], [f"C{n % 100}"]
        yield Described(nth(n, tenant_id), tenant_id, f"N{n}", "", codes, labels)


def _insert(table: str) -> str:
    columns, values = [], []
    for part in _ROWS[table].split(", "):
        name, colon, value = part.partition(": ")
        if colon and name.isidentifier():
            columns.append(name)
            values.append(value)
        else:
            values[-1] += f", {part}"
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)}"
        " FROM generate_series(0, $2::bigint - 1) AS n"
    )


def nth(n: int, tenant_id: UUID) -> UUID:
    """The id of the n-th thing of a business."""
    return UUID(f"{n:012x}{tenant_id.hex[-20:]}")
