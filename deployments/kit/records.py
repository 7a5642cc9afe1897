"""Master data: what a business keeps lists of, and how each change of them is written, with its
event, its line in the audit log and its answer, in one transaction.

A `Kind` says what one sort of it is; `deployments.kit.record_routes` gives it five routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel

from core.errors import Conflict, FieldError, HoldfastError, NotFound
from core.ids import uuid7
from core.paging import Part
from core.principal import Principal
from core.request import RequestKey
from deployments.kit.events import RecordEvents
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change, page
from gateway.access import tenant_of
from gateway.changes import onto
from gateway.schemas import Message, Page
from store.business import profile as business
from store.business.profile import Business
from store.kit import audit
from store.kit.engine import Scope, Transaction
from store.kit.outbox import emit
from store.kit.versioned import Rows


class Versioned(Protocol):
    @property
    def id(self) -> UUID: ...

    @property
    def version(self) -> int: ...


T = TypeVar("T", bound=Versioned)


class TooMany(Conflict):
    code, title = "too_many", "Too many"
    default_detail = "A business has only so many of these."


@dataclass(frozen=True, slots=True)
class Writing(Generic[T]):
    """What a check may look at before something is written; `values` it may complete. The business
    stays as it is until `tx` ends, `before` is None for what is new. What must change along, a
    check writes by `rewrite`."""

    shared: Resources
    tx: Transaction
    tenant_id: UUID
    principal: Principal
    business: Business
    before: T | None
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Removing(Generic[T]):
    """What a check may look at before a record is deleted."""

    shared: Resources
    tx: Transaction
    tenant_id: UUID
    record: T


async def _no_check(_: Any) -> None:
    return None


def _nothing_more(shared: Resources, tenant_id: UUID) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One sort of master data. `noun` names it in the audit log and in ids of paths, `path` is
    where its list is. `out` gives an answer of a row and the tenant's id, `audited` are the columns
    that the log tells of.

    A write holds its row, and the business as it is, so that nothing comes into a deleted one. With
    `holds` it keeps all other writes of the business out, where two of a kind depend on each other,
    and with `most` it always does. The checks raise what forbids a change, or a removal, which the
    `refusals` name; `check` may also complete the values, or write what must change along.
    `afterwards` is called once a write has committed.
    """

    noun: str
    path: str
    events: RecordEvents
    rows: Rows[T]
    out: Callable[[T, UUID], BaseModel]
    audited: tuple[str, ...]
    most: int | None = None
    holds: Literal["row", "business"] = "row"
    check: Callable[[Writing[T]], Awaitable[None]] = _no_check
    check_removal: Callable[[Removing[T]], Awaitable[None]] = _no_check
    refusals: tuple[type[HoldfastError], ...] = ()
    removal_refusals: tuple[type[HoldfastError], ...] = ()
    afterwards: Callable[[Resources, UUID], None] = _nothing_more

    @property
    def words(self) -> str:
        return self.noun.replace("_", " ")


class Records(Generic[T]):
    """Reads and writes one kind, for the caller's business alone."""

    def __init__(self, shared: Resources, principal: Principal, kind: Kind[T]) -> None:
        self._shared = shared
        self._principal = principal
        self._kind = kind
        self._tenant = tenant_of(principal)

    async def page(self, read: Callable[[Transaction], Awaitable[Part[T]]]) -> Page[Any]:
        """Part of the list, as `read` finds it."""
        return await page(self._shared, self._principal, read, self._out)

    async def get(self, row_id: UUID) -> Any:
        """Raises NotFound for what is deleted, and for another business's."""
        async with self._shared.db.transaction(Scope(self._tenant)) as tx:
            return self._out(self._found(await self._kind.rows.get(tx, row_id)))

    async def create(self, key: RequestKey, values: dict[str, Any]) -> Made[Any]:
        """Raises Conflict for what must be unique and is not; TooMany; what the check raises."""
        kind = self._kind

        async def work(tx: Transaction) -> Made[Any]:
            mine = await self._hold_business(tx)
            if kind.most is not None and await kind.rows.count(tx) >= kind.most:
                raise TooMany(f"A business has at most {kind.most} of these.")
            writing = self._writing(tx, mine, None, values)
            await kind.check(writing)
            row = {"id": uuid7(), "tenant_id": self._tenant, **writing.values}
            made = await kind.rows.add(tx, row)
            await _emit(tx, self._principal, kind, "created", None, made)
            return Made.of(self._out(made), 201)

        return await self._write(key, work)

    async def change(
        self, key: RequestKey, row_id: UUID, values: dict[str, Any], version: int | None
    ) -> Made[Any]:
        """Raises NotFound; Conflict if the version is another, or what must be unique is not; what
        the check raises."""
        kind = self._kind

        async def work(tx: Transaction) -> Made[Any]:
            mine = await self._hold_business(tx)
            before = self._found(await kind.rows.get(tx, row_id, lock=True))
            check_version(before.version, version)
            writing = self._writing(tx, mine, before, onto(before, values))
            await kind.check(writing)
            after = before
            if any(getattr(before, name) != value for name, value in writing.values.items()):
                after = await rewrite(tx, self._principal, kind, before, writing.values)
            return Made.of(self._out(after))

        return await self._write(key, work)

    async def remove(self, key: RequestKey, row_id: UUID) -> Made[Message]:
        """Raises NotFound, InUse, or what the check raises."""
        kind = self._kind

        async def work(tx: Transaction) -> Made[Message]:
            await self._hold_business(tx)
            before = self._found(await kind.rows.get(tx, row_id, lock=True))
            await kind.check_removal(Removing(self._shared, tx, self._tenant, before))
            gone = await kind.rows.remove(tx, row_id)
            await _emit(tx, self._principal, kind, "deleted", gone, gone)
            return Made.of(Message(message=f"{kind.words.capitalize()} deleted"))

        return await self._write(key, work)

    async def _write(
        self, key: RequestKey, work: Callable[[Transaction], Awaitable[Made[Any]]]
    ) -> Made[Any]:
        made = await change(self._shared, self._principal, key, work)
        self._kind.afterwards(self._shared, self._tenant)
        return made

    async def _hold_business(self, tx: Transaction) -> Business:
        alone = self._kind.holds == "business" or self._kind.most is not None
        return await locked_business(tx, self._tenant, shared=not alone)

    def _writing(
        self, tx: Transaction, mine: Business, before: T | None, values: dict[str, Any]
    ) -> Writing[T]:
        shared, principal = self._shared, self._principal
        return Writing(shared, tx, self._tenant, principal, mine, before, dict(values))

    def _found(self, record: T | None) -> T:
        if record is None:
            raise NotFound(f"There is no such {self._kind.words} here.")
        return record

    def _out(self, record: T) -> BaseModel:
        return self._kind.out(record, self._tenant)


async def rewrite(
    tx: Transaction, principal: Principal, kind: Kind[T], before: T, values: Mapping[str, Any]
) -> T:
    """Changes a record of the caller's business, with its event and its line in the audit log; `tx`
    holds it. Raises Conflict as `Rows.change` does."""
    after = await kind.rows.change(tx, before.id, values)
    await _emit(tx, principal, kind, "updated", before, after)
    return after


async def _emit(
    tx: Transaction, principal: Principal, kind: Kind[T], verb: str, before: T | None, record: T
) -> None:
    tenant, event = tenant_of(principal), getattr(kind.events, verb)
    await emit(tx, tenant, record.id, event(id=record.id, version=record.version))
    changes = audit.changed(before, record, kind.audited)
    await audit.record(tx, tenant, principal, f"{kind.noun}.{verb}", record.id, changes)


async def locked_business(tx: Transaction, tenant_id: UUID, *, shared: bool = False) -> Business:
    """The business, which stays as it is until `tx` ends, for us alone or `shared`. Raises NotFound
    if it is deleted."""
    mine = await business.lock_business(tx, tenant_id, shared=shared)
    if mine is None:
        raise NotFound("Your business does not exist any more.")
    return mine


def check_version(present: int, expected: int | None) -> None:
    """Raises Conflict if a change was meant for another version than the present one."""
    if expected is not None and expected != present:
        message = f"is not the present version, which is {present}"
        raise Conflict(
            "It has changed since you read it.",
            errors=[FieldError("version", message)],
            extra={"currentVersion": present},
        )
