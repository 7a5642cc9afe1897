"""Pages: a part of the rows that a query finds, without reading all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    bindparam,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import MAX_COUNTED, Cursor, Part, Span

MAX_EXAMINED = MAX_COUNTED
_KEY = "_key_{}"

Row = Mapping[str, Any]
Query = Select[Any]


class Order(NamedTuple):
    """The columns by which a list is sorted, all in one direction, so that Postgres can begin in
    the middle of an index. None is null, and together they are unique."""

    columns: tuple[ColumnElement[Any], ...]
    descending: bool


def rising(*columns: ColumnElement[Any]) -> Order:
    return Order(columns, False)


def falling(*columns: ColumnElement[Any]) -> Order:
    return Order(columns, True)


class Walk(NamedTuple):
    """The rows of a query, in the order of an index. `also` are conditions for which no index has
    the query's rows in this order. `counted` finds the same rows in any order, where that costs
    less."""

    query: Query
    order: Order
    also: Sequence[ColumnElement[bool]] = ()
    counted: Query | None = None

    def until(self, bound: Sequence[Any] | None) -> Walk:
        """The same with all conditions, and no row beyond one with these values."""
        if bound is None and not self.also:
            return self
        return Walk(self.query.where(*self.also, *within(self.order, bound)), self.order)


async def page(
    tx: AsyncConnection,
    query: Query | Sequence[Query],
    order: Order,
    span: Span,
    name: str = "",
    also: Sequence[ColumnElement[bool]] = (),
) -> Part[Row]:
    """As `merged` of one query, or of several in the same order and with the same `also`."""
    queries = [query] if isinstance(query, Select) else query
    return await merged(tx, [Walk(statement, order, also) for statement in queries], span, name)


async def merged(
    tx: AsyncConnection, walks: Sequence[Walk], span: Span, name: str = ""
) -> Part[Row]:
    """The part of what `walks` find that `span` asks for, in their order, which `name` tells from
    other orders of the same list. Several walks find different rows of one list: each walks an
    index of its own, and their orders go in one direction by values of the same types. Raises
    ValidationFailed on `cursor`.

    Where no index has the rows, only the next MAX_EXAMINED rows of each walk are examined, so that
    none is walked to its end in vain: before the end, the part may have fewer rows than `span` asks
    for, and its cursor leads on behind the last row that was examined."""
    cursor = None
    columns = walks[0].order.columns
    if span.cursor is not None:
        kinds = [column.type.python_type for column in columns]
        cursor = Cursor.decode(span.cursor, name, kinds)
    bound = await examined(tx, [walk for walk in walks if walk.also], cursor)
    walks = [walk.until(bound) for walk in walks]
    found = await _rows(tx, walks, span, cursor)
    rows, has_more = found[: span.limit], len(found) > span.limit
    number = span.page if cursor is None else cursor.page + 1
    if cursor is not None:
        total, exact = cursor.total, cursor.total_is_exact
    elif not has_more and (rows or not span.offset):
        total, exact = span.offset + len(rows), bound is None
    else:
        cheap = (walk.query if walk.counted is None else walk.counted for walk in walks)
        total, exact = await _count(tx, list(cheap))
        exact = exact and bound is None
    keys = [_KEY.format(n) for n in range(len(columns))]
    following = None
    if has_more or bound is not None:
        values = tuple(rows[-1][key] for key in keys) if has_more else bound
        following = Cursor(name, number, total, exact, values or ()).encode()
    items: list[Row] = [{k: value for k, value in row.items() if k not in keys} for row in rows]
    return Part(items, number, span.limit, total, exact, following)


async def examined(
    tx: AsyncConnection, walks: Sequence[Walk], cursor: Cursor | None = None
) -> tuple[Any, ...] | None:
    """The values by which the last of the next MAX_EXAMINED rows is sorted, of the query that gets
    there first; None where no query has so many."""
    found: list[tuple[Any, ...]] = []
    for query, order, *_ in walks:
        keys = query.with_only_columns(*order.columns, maintain_column_froms=True)
        if cursor is not None:
            keys = keys.where(_after(order, cursor.values))
        last = keys.order_by(*_sorted(order, order.columns)).offset(MAX_EXAMINED - 1).limit(1)
        found += [tuple(row) for row in await tx.execute(last)]
    if not found:
        return None
    return max(found) if walks[0].order.descending else min(found)


def within(order: Order, bound: Sequence[Any] | None) -> list[ColumnElement[bool]]:
    """The condition that no row is beyond one with these values; none without values."""
    if bound is None:
        return []
    place, there = tuple_(*order.columns), tuple_(*_bound(order, bound))
    return [place >= there if order.descending else place <= there]


async def _rows(
    tx: AsyncConnection, walks: Sequence[Walk], span: Span, cursor: Cursor | None
) -> Sequence[RowMapping]:
    """The rows of the part, and one more if there is one, each with the values that sort it."""
    offset = 0 if cursor is not None else span.offset
    most = span.limit + 1
    parts = []
    for query, order, *_ in walks:
        keys = [column.label(_KEY.format(n)) for n, column in enumerate(order.columns)]
        part = query.add_columns(*keys)
        if cursor is not None:
            part = part.where(_after(order, cursor.values))
        parts.append(part.order_by(*_sorted(order, keys)))
    if len(parts) == 1:
        return (await tx.execute(parts[0].limit(most).offset(offset))).mappings().all()
    some = (part.limit(most + offset).subquery() for part in parts)
    whole = union_all(*(select(part) for part in some)).subquery()
    order = walks[0].order
    by = _sorted(order, [whole.c[_KEY.format(n)] for n in range(len(order.columns))])
    listed = select(whole).order_by(*by).limit(most).offset(offset)
    return (await tx.execute(listed)).mappings().all()


async def _count(tx: AsyncConnection, queries: Sequence[Query]) -> tuple[int, bool]:
    """How many rows queries find, MAX_COUNTED at most, and whether those are all."""
    total = 0
    for query in queries:
        some: Query = query.with_only_columns(literal_column("1"), maintain_column_froms=True)
        counted = select(func.count()).select_from(some.limit(MAX_COUNTED + 1).subquery())
        total += int((await tx.execute(counted)).scalar_one())
    return min(total, MAX_COUNTED), total <= MAX_COUNTED


def _sorted(order: Order, columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    return [column.desc() if order.descending else column.asc() for column in columns]


def _after(order: Order, values: Sequence[Any]) -> ColumnElement[bool]:
    """The condition of rows that come after one with these values."""
    place, there = tuple_(*order.columns), tuple_(*_bound(order, values))
    return place < there if order.descending else place > there


def _bound(order: Order, values: Sequence[Any]) -> list[ColumnElement[Any]]:
    return [
        bindparam(None, value, type_=column.type, unique=True)
        for column, value in zip(order.columns, values, strict=True)
    ]
