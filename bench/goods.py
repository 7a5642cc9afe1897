"""The goods that every contender sells: one hot product, one that is soon sold out, 10,000 others.

Everybody starts from the same rows, in a database that is copied from a template, so that no run
sees what another one left.
"""

from __future__ import annotations

from uuid import UUID

import asyncpg

TENANT = UUID("018f0000-0000-7000-9000-000000000001")
USER = UUID("018f0000-0000-7000-9000-000000000002")
SESSION = UUID("018f0000-0000-7000-9000-000000000003")

# A product's id is this and its number in twelve hex digits: the load's script makes them so too.
PRODUCT_PREFIX = "018f0000-0000-7000-8000-"
HOT, SOLD_OUT, FIRST_OF_MANY = 0, 1, 2
MANY = 10_000

PLENTY = 100_000_000
FEW = 500


def product_id(number: int) -> UUID:
    return UUID(f"{PRODUCT_PREFIX}{number:012x}")


def opening_stock() -> list[tuple[UUID, int]]:
    """Every product and what there is of it."""
    ample = [HOT, *range(FIRST_OF_MANY, FIRST_OF_MANY + MANY)]
    return [(product_id(SOLD_OUT), FEW), *((product_id(number), PLENTY) for number in ample)]


# What a baseline needs: a level, and holds with the index by which they would be expired.
BASELINE_SCHEMA = """
CREATE TABLE stock (
  product_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  on_hand bigint NOT NULL CHECK (on_hand >= 0),
  reserved bigint NOT NULL CHECK (reserved BETWEEN 0 AND on_hand)
) WITH (fillfactor = 50);
CREATE TABLE holds (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  product_id uuid NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  status text NOT NULL CHECK (status IN ('open', 'confirmed', 'released', 'expired')),
  reference text,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX holds_due ON holds (expires_at) WHERE status = 'open';
"""


async def stock_baseline(connection: asyncpg.Connection) -> None:
    """Makes a baseline's tables, and fills them."""
    await connection.execute(BASELINE_SCHEMA)
    await connection.executemany(
        "INSERT INTO stock VALUES ($1, $2, $3, 0)",
        [(product, TENANT, quantity) for product, quantity in opening_stock()],
    )


async def stock_holdfast(connection: asyncpg.Connection) -> None:
    """Fills the migrated tables of Holdfast as its own commands would have: business, catalogue,
    levels, and a ledger that adds up to them. Nothing may run on this database meanwhile."""
    await connection.execute("INSERT INTO businesses (id, name) VALUES ($1, 'Bench')", TENANT)
    goods = opening_stock()
    await connection.executemany(
        "INSERT INTO products (id, tenant_id, created_by, name, description, price_minor,"
        " price_e4, currency, images, sku, version, created_at, updated_at)"
        " VALUES ($1, $2, $3, 'Thing', '', 100, 10000, 'USD', '[]', $4, 1, now(), now())",
        [(product, TENANT, USER, str(product)) for product, _ in goods],
    )
    await connection.executemany(
        "INSERT INTO stock_items VALUES ($1, $2, false, 0, 1, now())",
        [(product, TENANT) for product, _ in goods],
    )
    await connection.executemany(
        "INSERT INTO stock_levels (product_id, location_id, tenant_id, on_hand, reserved, incoming,"
        " low_stock_threshold, low, floor, sequence, updated_at)"
        " VALUES ($1, $2, $2, $3, 0, 0, 10, false, 0, 1, now())",
        [(product, TENANT, quantity) for product, quantity in goods],
    )
    await connection.executemany(
        "INSERT INTO stock_movements (product_id, location_id, sequence, tenant_id, kind,"
        " on_hand_delta, reserved_delta, incoming_delta, on_hand_after, reserved_after,"
        " incoming_after, command_id, created_by, occurred_at, recorded_at)"
        " VALUES ($1, $2, 1, $2, 'received', $3, 0, 0, $3, 0, 0, gen_random_uuid(), 'bench',"
        " now(), now())",
        [(product, TENANT, quantity) for product, quantity in goods],
    )
