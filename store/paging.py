"""A page of a query, and how many rows there are in all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection


async def page(
    tx: AsyncConnection, query: Select[Any], order: Sequence[Any], offset: int, limit: int
) -> tuple[list[RowMapping], int]:
    """Rows in `order` from `offset` on, and how many the query has without a limit."""
    total = await tx.scalar(select(func.count()).select_from(query.subquery()))
    rows = await tx.execute(query.order_by(*order).offset(offset).limit(limit))
    return list(rows.mappings()), int(total or 0)
