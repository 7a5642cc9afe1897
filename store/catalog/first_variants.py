"""Products that somebody is about to give their first variant: between telling the owner of the
stock, which must not be waited for in a transaction, and writing the variant.

A mark says so. While it lasts no replica lets the owner take the product for a simple one again; a
replica that finds its own mark gone, before it writes, begins anew. Both look under the catalogue's
lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Column, DateTime, Table, Uuid, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.kit.schema import metadata, of_tenant

first_variants = Table(
    "first_variants",
    metadata,
    Column("product_id", Uuid, primary_key=True),
    Column("writer_id", Uuid, primary_key=True, comment="One per request that writes"),
    Column("tenant_id", Uuid, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    info=of_tenant(app="SELECT, INSERT, DELETE"),
)

_c = first_variants.c
_LIVE = _c.until > func.clock_timestamp()


async def mark(
    tx: AsyncConnection,
    tenant_id: UUID,
    writer_id: UUID,
    product_ids: Iterable[UUID],
    seconds: float,
) -> None:
    """Marks products for a writer, and lets go of what dead writers of the business left."""
    await tx.execute(delete(first_variants).where(~_LIVE | (_c.writer_id == writer_id)))
    until = func.clock_timestamp() + text(f"interval '{float(seconds)} seconds'")
    rows = [
        {"product_id": product_id, "writer_id": writer_id, "tenant_id": tenant_id}
        for product_id in product_ids
    ]
    await tx.execute(insert(first_variants).values(until=until), rows)


async def unmark(tx: AsyncConnection, writer_id: UUID) -> None:
    await tx.execute(delete(first_variants).where(_c.writer_id == writer_id))


async def marked_by(tx: AsyncConnection, writer_id: UUID) -> set[UUID]:
    """The products of a writer's marks that last."""
    query = select(_c.product_id).where(_c.writer_id == writer_id, _LIVE)
    return set((await tx.execute(query)).scalars())


async def is_marked(tx: AsyncConnection, product_id: UUID) -> bool:
    """Whether anybody is about to give the product a variant."""
    query = select(_c.writer_id).where(_c.product_id == product_id, _LIVE).limit(1)
    return (await tx.execute(query)).first() is not None
