"""How the shard hosts read and write the till: one statement per kind of key and per table."""

from __future__ import annotations

from collections.abc import Sequence

from store.hosts.aggregates import Read, Tables
from store.hosts.batches import Write

# As a value travels in an array, and as it is stored: times in ms since the epoch, JSON as text.
_TRAVELS = {"ms": "bigint", "json": "text"}
_STORED = {"ms": "to_timestamp({}::bigint / 1000.0)", "json": "{}::jsonb"}


def _columns(spec: str) -> list[tuple[str, str]]:
    return [(name, kind) for name, kind in (part.split() for part in spec.split(","))]


def _source(columns: Sequence[tuple[str, str]]) -> str:
    arrays = ", ".join(
        f"${place}::{_TRAVELS.get(kind, kind)}[]" for place, (_, kind) in enumerate(columns, 1)
    )
    names = ", ".join(name for name, _ in columns)
    return f"unnest({arrays}) AS r({names})"


def _insert(table: str, spec: str, change: str = "") -> Write:
    """Inserts rows of the columns in `spec`; `change` are those that a row that is there takes
    over, by its key, which comes first in it."""
    columns = _columns(spec)
    names = ", ".join(name for name, _ in columns)
    values = ", ".join(_STORED.get(kind, "{}").format(f"r.{name}") for name, kind in columns)
    conflict = ""
    if change:
        key, *changed = change.split()
        sets = ", ".join(f"{name} = excluded.{name}" for name in changed)
        # Only over the row that it follows: whoever misses one has not read it.
        guard = "t.tenant_id = excluded.tenant_id"
        if "sequence" in changed:
            guard += " AND t.sequence < excluded.sequence"
        conflict = f" ON CONFLICT ({key}) DO UPDATE SET {sets} WHERE {guard}"
    return Write(
        f"INSERT INTO {table} AS t ({names}) SELECT {values} FROM {_source(columns)}{conflict}"  # noqa: S608
    )


def _update(table: str, spec: str, keys: str, changed: str) -> Write:
    sets = ", ".join(f"{name} = r.{name}" for name in changed.split())
    where = " AND ".join(f"t.{name} = r.{name}" for name in keys.split())
    if "sequence" in changed.split():
        where += " AND t.sequence < r.sequence"
    return Write(f"UPDATE {table} AS t SET {sets} FROM {_source(_columns(spec))} WHERE {where}")  # noqa: S608


_WANTED = "unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k(id, tenant, place)"

_LOAD_REGISTERS = f"""
SELECT k.place, r.location_id, r.name, r.discount_limit_percent, r.next_receipt_number, r.shifts,
  r.removed, r.sequence, s.id, s.number, s.opened_by,
  (extract(epoch FROM s.opened_at) * 1000)::bigint, s.opening_float_minor, s.currency, s.totals
FROM {_WANTED} JOIN pos_registers r ON r.id = k.id AND r.tenant_id = k.tenant
LEFT JOIN pos_shifts s ON s.id = r.shift_id"""  # noqa: S608

# Lines and payments travel in the order of the aggregate's fields.
_LOAD_SALES = f"""
SELECT k.place, s.register_id, s.location_id, s.shift_id, s.receipt_number, s.currency, s.status,
  s.tips_minor,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(l.item_id, l.product_id, l.name, l.sku, l.quantity,
    l.unit_price_minor, l.discount_minor, l.tax_rate_ppm, l.tax_minor, l.total_minor, l.parts,
    l.card_id, l.returned) ORDER BY l.number), '[]') FROM pos_sale_lines l WHERE l.sale_id = s.id),
  (SELECT coalesce(jsonb_agg(jsonb_build_array(p.method, p.amount_minor, p.reference, p.card_id,
    p.refunded_minor) ORDER BY p.number), '[]') FROM pos_payments p WHERE p.sale_id = s.id),
  s.sequence, s.upload_digest
FROM {_WANTED} JOIN pos_sales s ON s.id = k.id AND s.tenant_id = k.tenant"""  # noqa: S608

_LOAD_CARDS = f"""
SELECT k.place, c.currency, c.last_four, c.initial_minor, c.balance_minor,
  (extract(epoch FROM c.expires_at) * 1000)::bigint, c.disabled, c.sequence
FROM {_WANTED} JOIN gift_cards c ON c.id = k.id AND c.tenant_id = k.tenant"""  # noqa: S608

_REGISTER = (
    "id uuid, tenant_id uuid, location_id uuid, name text, discount_limit_percent int,"
    " next_receipt_number bigint, shifts int, shift_id uuid, removed bool, sequence bigint,"
    " updated_at ms"
)
_SHIFT = (
    "id uuid, tenant_id uuid, register_id uuid, location_id uuid, number int, opened_by text,"
    " opened_at ms, opening_float_minor bigint, currency text, expected_minor bigint, totals json,"
    " closed_at ms, closed_by text, counted_minor bigint, counts json, note text"
)
_SALE = (
    "id uuid, tenant_id uuid, location_id uuid, register_id uuid, shift_id uuid,"
    " receipt_number bigint, status text, currency text, total_minor bigint, tax_minor bigint,"
    " discount_minor bigint, tips_minor bigint, tendered_minor bigint, change_minor bigint,"
    " prices_include_tax bool, customer_id uuid, note text, reservation_id uuid, created_by text,"
    " created_at ms, sequence bigint, client_sale_id uuid, offline_number text,"
    " upload_digest bytea, uploaded_by text, uploaded_at ms"
)
_SALE_LINE = (
    "sale_id uuid, number int, tenant_id uuid, item_id uuid, product_id uuid, name text, sku text,"
    " quantity int, unit_price_minor bigint, discount_minor bigint, tax_rate_ppm int,"
    " tax_minor bigint, total_minor bigint, parts json, card_id uuid"
)
_RETURN = (
    "id uuid, tenant_id uuid, sale_id uuid, location_id uuid, register_id uuid, shift_id uuid,"
    " receipt_number bigint, currency text, total_minor bigint, tax_minor bigint,"
    " tips_minor bigint, reason text, void bool, created_by text, created_at ms"
)
_RETURN_LINE = (
    "return_id uuid, number int, tenant_id uuid, line_number int, item_id uuid, name text,"
    " sku text, quantity int, restock bool, tax_rate_ppm int, tax_minor bigint,"
    " discount_minor bigint, total_minor bigint"
)

TABLES = Tables(
    reads={
        "register": Read(_LOAD_REGISTERS),
        "sale": Read(_LOAD_SALES),
        "gift_card": Read(_LOAD_CARDS),
    },
    writes={
        "pos_registers": _insert(
            "pos_registers",
            _REGISTER,
            "id location_id name discount_limit_percent next_receipt_number shifts shift_id"
            " removed sequence updated_at",
        ),
        "pos_shifts": _insert(
            "pos_shifts",
            _SHIFT,
            "id expected_minor totals closed_at closed_by counted_minor counts note",
        ),
        "pos_cash_movements": _insert(
            "pos_cash_movements",
            "register_id uuid, sequence bigint, tenant_id uuid, shift_id uuid, kind text,"
            " amount_minor bigint, reason text, created_by text, occurred_at ms",
        ),
        "pos_receipts": _insert(
            "pos_receipts",
            "register_id uuid, number bigint, tenant_id uuid, kind text, subject_id uuid,"
            " shift_id uuid, given_at ms",
        ),
        "pos_sales": _insert("pos_sales", _SALE),
        "pos_sale_lines": _insert("pos_sale_lines", _SALE_LINE),
        "pos_payments": _insert(
            "pos_payments",
            "sale_id uuid, number int, tenant_id uuid, method text, amount_minor bigint,"
            " reference text, card_id uuid",
        ),
        "pos_sales returned": _update(
            "pos_sales",
            "id uuid, tenant_id uuid, status text, refunded_minor bigint, sequence bigint",
            "id tenant_id",
            "status refunded_minor sequence",
        ),
        "pos_sale_lines returned": _update(
            "pos_sale_lines",
            "sale_id uuid, number int, returned int",
            "sale_id number",
            "returned",
        ),
        "pos_payments refunded": _update(
            "pos_payments",
            "sale_id uuid, number int, refunded_minor bigint",
            "sale_id number",
            "refunded_minor",
        ),
        "pos_returns": _insert("pos_returns", _RETURN),
        "pos_return_lines": _insert("pos_return_lines", _RETURN_LINE),
        "pos_refunds": _insert(
            "pos_refunds",
            "return_id uuid, number int, tenant_id uuid, method text, amount_minor bigint,"
            " payment_number int, card_id uuid, reference text",
        ),
        "card_refunds": _insert(
            "card_refunds",
            "return_id uuid, number int, tenant_id uuid, charge_id text, amount_minor bigint,"
            " currency text, created_at ms",
        ),
        "gift_cards": _insert(
            "gift_cards",
            "id uuid, tenant_id uuid, currency text, last_four text, initial_minor bigint,"
            " balance_minor bigint, expires_at ms, disabled bool, sequence bigint, updated_at ms",
            "id balance_minor disabled sequence updated_at",
        ),
        "gift_card_movements": _insert(
            "gift_card_movements",
            "card_id uuid, sequence bigint, tenant_id uuid, kind text, delta_minor bigint,"
            " balance_minor bigint, source_id uuid, occurred_at ms",
        ),
    },
    due={},
)
