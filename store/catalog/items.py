"""What a product and a variant have in common, both being items: one space of ids, SKUs and
barcodes that are unique over both, prices in further currencies, and what an item costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    RowMapping,
    String,
    Table,
    Text,
    Uuid,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, FieldError, ValidationFailed
from core.money import exponent
from store.kit.engine import sqlstate
from store.kit.schema import PUBLIC_LISTED, metadata, of_tenant

# Triggers on products and variants keep it, so that no way of writing either goes past it.
item_codes = Table(
    "item_codes",
    metadata,
    Column("item_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("code", String(64), nullable=False),
    CheckConstraint("kind IN ('sku', 'barcode')", name="kind_known"),
    Index(
        "uq_item_codes_sku",
        "code",
        "tenant_id",
        unique=True,
        postgresql_where=text("kind = 'sku'"),
    ),
    Index(
        "uq_item_codes_barcode",
        "code",
        "tenant_id",
        unique=True,
        postgresql_where=text("kind = 'barcode'"),
    ),
    info=of_tenant(app="SELECT, INSERT, DELETE"),
)

# The price in an item's own currency stands in its row.
item_prices = Table(
    "item_prices",
    metadata,
    Column("item_id", Uuid, primary_key=True),
    Column("currency", CHAR(3), primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("price_e4", BigInteger, nullable=False),
    CheckConstraint("price_minor >= 0", name="price_not_negative"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    Index("ix_item_prices_price", "currency", "price_e4", "item_id"),
    info=of_tenant(app="SELECT, INSERT, DELETE", public=PUBLIC_LISTED),
)

# A table of its own, without a policy for the public: what a thing costs is then nobody's to see
# but its business', whatever a query asks for.
item_costs = Table(
    "item_costs",
    metadata,
    Column("item_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("cost_minor", BigInteger, nullable=False),
    CheckConstraint("cost_minor >= 0", name="cost_not_negative"),
    info=of_tenant(app="SELECT, INSERT, DELETE"),
)


class Priced(Protocol):
    """A product or a variant. `prices` are minor units by currency, without its own currency;
    `cost_minor` is in its own."""

    @property
    def id(self) -> UUID: ...

    @property
    def tenant_id(self) -> UUID: ...

    @property
    def prices(self) -> dict[str, int]: ...

    @property
    def cost_minor(self) -> int | None: ...


def price_e4(price_minor: int, currency: str) -> int:
    """Minor units to ten-thousandths of a major unit: 1999 USD is 199900."""
    return int(price_minor * 10 ** (4 - exponent(currency)))


async def lock_catalog(tx: AsyncConnection, tenant_id: UUID) -> None:
    """Waits until no other transaction is writing this tenant's catalogue, and keeps it so until
    `tx` ends. What a writer then reads stays true while it decides, and events keep their order
    per product. The wait is bounded by the statement's time limit."""
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('catalog:' || :tenant, 0))"),
        {"tenant": str(tenant_id)},
    )


def money_of(item_id: ColumnElement[UUID]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The columns `prices` and `cost_minor` of the item whose id stands in `item_id`. Outside its
    business the cost is null: the policies hide the row."""
    by_currency = func.jsonb_object_agg(item_prices.c.currency, item_prices.c.price_minor)
    prices = select(func.coalesce(by_currency, text("'{}'::jsonb"), type_=JSONB))
    prices = prices.where(item_prices.c.item_id == item_id)
    cost = select(item_costs.c.cost_minor).where(item_costs.c.item_id == item_id)
    return (
        prices.scalar_subquery().label("prices"),
        cost.scalar_subquery().label("cost_minor"),
    )


async def put_money(tx: AsyncConnection, items: Sequence[Priced], *, new: bool) -> None:
    """Writes the items' further prices and their costs, in place of what was there; what is
    `new` had nothing."""
    ids = [item.id for item in items]
    if not new:
        for table in (item_prices, item_costs):
            await tx.execute(delete(table).where(table.c.item_id.in_(ids)))
    prices = [
        {
            "item_id": item.id,
            "tenant_id": item.tenant_id,
            "currency": currency,
            "price_minor": price_minor,
            "price_e4": price_e4(price_minor, currency),
        }
        for item in items
        for currency, price_minor in item.prices.items()
    ]
    costs = [
        {"item_id": item.id, "tenant_id": item.tenant_id, "cost_minor": item.cost_minor}
        for item in items
        if item.cost_minor is not None
    ]
    for table, rows in ((item_prices, prices), (item_costs, costs)):
        if rows:
            await tx.execute(insert(table), rows)


async def write_items(tx: AsyncConnection, statement: Any, rows: list[dict[str, Any]]) -> None:
    """Runs `statement` for all rows. Raises Conflict naming `sku` or `barcode` if another product
    or variant has it, `options` if another variant of the product does; ValidationFailed on
    `taxClassId` for what is no tax class of the business."""
    try:
        await tx.execute(statement, rows)
    except IntegrityError as error:
        if sqlstate(error) == "23503" and "tax_class" in str(error.orig):
            raise ValidationFailed(
                [FieldError("taxClassId", "is no tax class of yours")]
            ) from error
        if sqlstate(error) != "23505":
            raise
        raise _taken(str(getattr(error.orig, "__cause__", error.orig))) from error


async def live_by_sku(
    tx: AsyncConnection,
    table: Table,
    fields: Sequence[ColumnElement[Any]],
    tenant_id: UUID,
    skus: Iterable[str],
) -> dict[str, RowMapping]:
    """Rows of products or of variants, not deleted, by SKU."""
    query = select(*fields).where(
        table.c.sku.in_(list(skus)), table.c.tenant_id == tenant_id, table.c.deleted_at.is_(None)
    )
    return {row["sku"]: row for row in (await tx.execute(query)).mappings()}


async def code_owners(
    tx: AsyncConnection, tenant_id: UUID, kind: str, codes: Iterable[str]
) -> dict[str, UUID]:
    """Which of the tenant's items has each code now; `kind` is sku or barcode."""
    query = select(item_codes.c.code, item_codes.c.item_id).where(
        item_codes.c.kind == kind,
        item_codes.c.code.in_(list(codes)),
        item_codes.c.tenant_id == tenant_id,
    )
    return {row.code: row.item_id for row in await tx.execute(query)}


def _taken(said: str) -> Conflict:
    if "uq_product_variants_options" in said:
        message = "are those of another variant"
        return Conflict(f"These options {message}.", errors=[FieldError("options", message)])
    field = "barcode" if "_barcode" in said.partition("\n")[0] else "sku"
    message = "is used by another product or variant"
    return Conflict(f"This {field} {message}.", errors=[FieldError(field, message)])
