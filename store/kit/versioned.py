"""Walled tables of things that carry a version and are marked, not removed, when deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, FieldError, InUse
from core.paging import Part, Span
from store.kit.changes import changed
from store.kit.engine import sqlstate
from store.kit.paging import Order, page

T = TypeVar("T")


class Rows(Generic[T]):
    """Such a table, whose rows read as the frozen dataclass `kind`. `unique` names the field that
    each of its unique indexes is about. Every method sees the rows of the scope's tenant only."""

    def __init__(
        self,
        table: Table,
        kind: type[T],
        *,
        order: Order,
        unique: Mapping[str, str],
    ) -> None:
        self.table = table
        self._kind = kind
        self._columns = [table.c[field.name] for field in fields(kind)]  # type: ignore[arg-type]
        self.order = order
        self._unique = unique
        self._live = table.c.deleted_at.is_(None)

    async def get(self, tx: AsyncConnection, row_id: UUID, *, lock: bool = False) -> T | None:
        """The row, unless it is deleted; with `lock` it is locked until `tx` ends."""
        return await self.single(tx, self.table.c.id == row_id, lock=lock)

    async def single(
        self, tx: AsyncConnection, condition: ColumnElement[bool], *, lock: bool = False
    ) -> T | None:
        """The one row for which the condition is true; None if it is deleted or does not exist."""
        query = select(*self._columns).where(condition, self._live)
        if lock:
            query = query.with_for_update()
        row = (await tx.execute(query)).mappings().first()
        return self._kind(**row) if row else None

    async def count(self, tx: AsyncConnection, *conditions: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(self.table).where(self._live, *conditions)
        return int((await tx.execute(query)).scalar_one())

    async def part(
        self, tx: AsyncConnection, span: Span, *conditions: ColumnElement[bool]
    ) -> Part[T]:
        """A part of the rows that are not deleted, or of all that have changed."""
        if span.since is not None:
            c, query = self.table.c, select(*self._columns)
            found = await changed(tx, query, c.updated_at, c.id, span, conditions)
            return found.map(self.shaped)
        found = await page(tx, self.query.where(*conditions), self.order, span)
        return found.map(self.shaped)

    @property
    def query(self) -> Select[Any]:
        """Asks for the rows that are not deleted."""
        return select(*self._columns).where(self._live)

    def shaped(self, row: Mapping[str, Any]) -> T:
        return self._kind(**row)

    async def add(self, tx: AsyncConnection, values: Mapping[str, Any]) -> T:
        """Raises Conflict naming the field whose value another row has."""
        now = func.statement_timestamp()
        first = {"version": 1, "created_at": now, "updated_at": now}
        statement = insert(self.table).values(**first, **values)
        return await self._write(tx, statement.returning(*self._columns))

    async def change(self, tx: AsyncConnection, row_id: UUID, values: Mapping[str, Any]) -> T:
        """Writes `values` to an existing row, which `tx` holds, and counts its version up. Raises
        Conflict as `add` does."""
        # Not the time when `tx` began: whoever waited for the row would date his change back.
        now = func.statement_timestamp()
        statement = (
            update(self.table)
            .where(self.table.c.id == row_id, self._live)
            .values(**values, version=self.table.c.version + 1, updated_at=now)
            .returning(*self._columns)
        )
        return await self._write(tx, statement)

    async def remove(self, tx: AsyncConnection, row_id: UUID) -> T:
        """Marks a row as deleted; its unique values are free again. Raises InUse if another table
        refers to it while it lives."""
        try:
            return await self.change(tx, row_id, {"deleted_at": func.now()})
        except IntegrityError as error:
            if sqlstate(error) != "23503":
                raise
            raise InUse("Something still needs this.") from error

    async def _write(self, tx: AsyncConnection, statement: Any) -> T:
        try:
            row = (await tx.execute(statement)).mappings().one()
        except IntegrityError as error:
            field = next((f for n, f in self._unique.items() if n in str(error.orig)), None)
            if sqlstate(error) != "23505" or field is None:
                raise
            message = "is used already"
            raise Conflict(
                f"This {field} {message}.", errors=[FieldError(field, message)]
            ) from error
        return self._kind(**row)
