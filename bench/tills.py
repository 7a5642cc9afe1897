"""The tills at which every contender sells: registers of one shop, each with an open shift."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from bench import goods

# A register's id is this and its number in twelve hex digits, as the load's script makes it.
REGISTER_PREFIX = "018f0000-0000-7000-a000-"
REGISTERS = 8
SHIFT_PREFIX = "018f0000-0000-7000-a001-"
TAX_CLASS = UUID("018f0000-0000-7000-9000-000000000004")

CURRENCY = "USD"
PRICE_MINOR = 100
TAX_RATE_PPM = 200_000  # in the prices

# One sale: so many lines of one unit each, paid in cash, with change.
LINES = 3
DUE_MINOR = LINES * PRICE_MINOR
TENDERED = 5  # in major units, as requests name it


def register_id(number: int) -> UUID:
    return UUID(f"{REGISTER_PREFIX}{number:012x}")


def shift_id(number: int) -> UUID:
    return UUID(f"{SHIFT_PREFIX}{number:012x}")


# What a baseline needs: a drawer is one row, and so is what a sale does to it. No foreign keys,
# which would cost it a look-up and a lock each.
BASELINE_SCHEMA = """
CREATE TABLE products (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  name text NOT NULL,
  sku text NOT NULL,
  price_minor bigint NOT NULL,
  tax_rate_ppm integer NOT NULL
);
CREATE TABLE registers (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  shift_id uuid,
  next_receipt_number bigint NOT NULL,
  drawer_minor bigint NOT NULL CHECK (drawer_minor >= 0)
) WITH (fillfactor = 50);
CREATE TABLE sales (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  register_id uuid NOT NULL,
  shift_id uuid NOT NULL,
  receipt_number bigint NOT NULL,
  status text NOT NULL CHECK (status IN ('completed', 'returned', 'voided')),
  currency char(3) NOT NULL,
  total_minor bigint NOT NULL,
  tax_minor bigint NOT NULL,
  tendered_minor bigint NOT NULL,
  change_minor bigint NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  UNIQUE (register_id, receipt_number),
  CHECK (tendered_minor - change_minor = total_minor)
);
CREATE INDEX sales_newest ON sales (tenant_id, created_at);
CREATE TABLE sale_lines (
  sale_id uuid,
  number integer,
  tenant_id uuid NOT NULL,
  product_id uuid NOT NULL,
  name text NOT NULL,
  sku text NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  unit_price_minor bigint NOT NULL,
  tax_rate_ppm integer NOT NULL,
  tax_minor bigint NOT NULL,
  total_minor bigint NOT NULL,
  PRIMARY KEY (sale_id, number)
);
CREATE TABLE payments (
  sale_id uuid,
  number integer,
  tenant_id uuid NOT NULL,
  method text NOT NULL CHECK (method IN ('cash', 'external')),
  amount_minor bigint NOT NULL,
  PRIMARY KEY (sale_id, number)
);
CREATE TABLE drawer_movements (
  sale_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  shift_id uuid NOT NULL,
  amount_minor bigint NOT NULL,
  occurred_at timestamptz NOT NULL
);
"""


async def open_baseline(connection: asyncpg.Connection) -> None:
    """Makes a baseline's tables of the till, with prices, and opens its registers."""
    await connection.execute(BASELINE_SCHEMA)
    await connection.executemany(
        "INSERT INTO products VALUES ($1, $2, 'Thing', $3, $4, $5)",
        [
            (product, goods.TENANT, str(product), PRICE_MINOR, TAX_RATE_PPM)
            for product, _ in goods.opening_stock()
        ],
    )
    await connection.executemany(
        "INSERT INTO registers VALUES ($1, $2, $3, 1, 0)",
        [(register_id(number), goods.TENANT, shift_id(number)) for number in range(REGISTERS)],
    )


async def open_holdfast(connection: asyncpg.Connection) -> None:
    """Opens the tills of the business that `goods.stock_holdfast` has made, as its own commands
    would have: a main location, a rate of tax for everything, registers with open shifts. Nothing
    may run on this database meanwhile."""
    await connection.execute(
        "UPDATE businesses SET prices_include_tax = true, currency = $2 WHERE id = $1",
        goods.TENANT,
        CURRENCY,
    )
    await connection.execute(
        "INSERT INTO locations (id, tenant_id, name, time_zone, currency)"
        " VALUES ($1, $1, 'Main', 'UTC', $2)",
        goods.TENANT,
        CURRENCY,
    )
    await connection.execute(
        "INSERT INTO tax_classes (id, tenant_id, name, is_default) VALUES ($1, $2, 'All', true)",
        TAX_CLASS,
        goods.TENANT,
    )
    await connection.execute(
        "INSERT INTO tax_rates (id, tenant_id, tax_class_id, name, rate_ppm, valid_from)"
        " VALUES ($1, $2, $1, 'VAT', $3, '2000-01-01Z')",
        TAX_CLASS,
        goods.TENANT,
        TAX_RATE_PPM,
    )
    await connection.executemany(
        "INSERT INTO pos_registers (id, tenant_id, location_id, name, discount_limit_percent,"
        " next_receipt_number, shifts, shift_id, removed, sequence, updated_at)"
        " VALUES ($1, $2, $2, 'Till', 20, 1, 1, $3, false, 2, now())",
        [(register_id(number), goods.TENANT, shift_id(number)) for number in range(REGISTERS)],
    )
    await connection.executemany(
        "INSERT INTO pos_shifts (id, tenant_id, register_id, location_id, number, opened_by,"
        " opened_at, opening_float_minor, currency, expected_minor, totals)"
        " VALUES ($1, $2, $3, $2, 1, $4, now(), 0, $5, 0, '{}')",
        [
            (shift_id(number), goods.TENANT, register_id(number), str(goods.USER), CURRENCY)
            for number in range(REGISTERS)
        ],
    )
