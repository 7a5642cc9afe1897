"""How a business's master data is written: each change with its event, its line in the audit log
and its answer, in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel

from core.errors import Conflict, FieldError, NotFound
from core.ids import uuid7
from core.paging import Part, Span
from core.principal import Principal
from core.request import RequestKey
from deployments.kit.events import RecordEvents
from gateway.access import tenant_of
from gateway.answers import recorded
from gateway.schemas import Envelope, Message
from store.business import profile as business
from store.business.profile import Business
from store.kit import audit
from store.kit.commands import Recorded, once
from store.kit.engine import Database, Scope, Transaction
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
    """What a check may look at before something is written. `before` is None for what is new."""

    tx: Transaction
    business: Business
    before: T | None
    values: dict[str, Any]


async def _no_check(_: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One sort of master data. `noun` names it in the audit log, `audited` are the columns that
    the log tells of. The checks raise what forbids a change; `check_values` may also
    complete `values`, or write what must change along."""

    noun: str
    events: RecordEvents
    rows: Rows[T]
    view: Callable[[T, UUID], BaseModel]
    most: int
    audited: tuple[str, ...]
    check_values: Callable[[Writing[T]], Awaitable[None]] = _no_check
    check_removal: Callable[[Writing[T]], Awaitable[None]] = _no_check


class Records(Generic[T]):
    """Reads and writes one kind, for the principal's business alone."""

    def __init__(self, db: Database, kind: Kind[T]) -> None:
        self._db = db
        self._kind = kind

    async def part(self, principal: Principal, span: Span, *conditions: Any) -> Part[Any]:
        """Part of the list as it is answered."""
        tenant = tenant_of(principal)
        async with self._db.transaction(Scope(tenant)) as tx:
            found = await self._kind.rows.part(tx, span, *conditions)
        return found.map(lambda one: self._kind.view(one, tenant))

    async def get(self, principal: Principal, row_id: UUID) -> Any:
        """Raises NotFound for what is deleted, and for another business's."""
        tenant = tenant_of(principal)
        async with self._db.transaction(Scope(tenant)) as tx:
            found = await self._kind.rows.get(tx, row_id)
        return self._kind.view(self._found(found), tenant)

    async def create(
        self, principal: Principal, key: RequestKey, values: dict[str, Any]
    ) -> Recorded:
        """Raises Conflict for what must be unique and is not; TooMany."""
        tenant, rows = tenant_of(principal), self._kind.rows

        async def work() -> Recorded:
            mine = await locked_business(tx, tenant)
            if await rows.count(tx) >= self._kind.most:
                raise TooMany(f"A business has at most {self._kind.most} of these.")
            await self._kind.check_values(Writing(tx, mine, None, values))
            made = await rows.add(tx, {"id": uuid7(), "tenant_id": tenant, **values})
            await self._tell(tx, principal, "created", None, made)
            return self._answer(201, made, tenant)

        async with self._db.transaction(Scope(tenant)) as tx:
            return await once(tx, tenant, key, work)

    async def change(
        self,
        principal: Principal,
        key: RequestKey,
        row_id: UUID,
        values: dict[str, Any],
        version: int | None,
    ) -> Recorded:
        """Raises NotFound; Conflict if the version is another, or what must be unique is not."""
        tenant, rows = tenant_of(principal), self._kind.rows

        async def work() -> Recorded:
            mine = await locked_business(tx, tenant)
            before = self._found(await rows.get(tx, row_id))
            check_version(before.version, version)
            await self._kind.check_values(Writing(tx, mine, before, values))
            if all(getattr(before, name) == value for name, value in values.items()):
                return self._answer(200, before, tenant)
            after = await rows.change(tx, row_id, values)
            await self._tell(tx, principal, "updated", before, after)
            return self._answer(200, after, tenant)

        async with self._db.transaction(Scope(tenant)) as tx:
            return await once(tx, tenant, key, work)

    async def remove(self, principal: Principal, key: RequestKey, row_id: UUID) -> Recorded:
        """Raises NotFound, or the Conflict that forbids it."""
        tenant, rows = tenant_of(principal), self._kind.rows

        async def work() -> Recorded:
            mine = await locked_business(tx, tenant)
            before = self._found(await rows.get(tx, row_id))
            await self._kind.check_removal(Writing(tx, mine, before, {}))
            gone = await rows.remove(tx, row_id)
            await self._tell(tx, principal, "deleted", gone, gone)
            return recorded(200, Message(message="Deleted"))

        async with self._db.transaction(Scope(tenant)) as tx:
            return await once(tx, tenant, key, work)

    async def _tell(
        self, tx: Transaction, principal: Principal, verb: str, before: T | None, one: T
    ) -> None:
        changes = audit.changed(before, one, self._kind.audited)
        tenant, noun = tenant_of(principal), self._kind.noun
        event = getattr(self._kind.events, verb)
        await emit(tx, tenant, one.id, event(id=one.id, version=one.version))
        await audit.record(tx, tenant, principal, f"{noun}.{verb}", one.id, changes)

    def _found(self, one: T | None) -> T:
        if one is None:
            raise NotFound(f"There is no such {self._kind.noun.replace('_', ' ')} here.")
        return one

    def _answer(self, status: int, one: T, tenant: UUID) -> Recorded:
        return recorded(status, Envelope(data=self._kind.view(one, tenant)))


async def locked_business(tx: Transaction, tenant_id: UUID) -> Business:
    """The business, which stays as it is until `tx` ends. Raises NotFound if it is deleted."""
    mine = await business.lock_business(tx, tenant_id)
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
