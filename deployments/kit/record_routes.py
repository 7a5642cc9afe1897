"""The five routes of a kind of master data: list, get, create, change, delete."""

# No `from __future__ import annotations`: FastAPI reads the types of the handlers below, which are
# made anew for each kind.

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query
from pydantic import BaseModel

from core.errors import Conflict, HoldfastError, NotFound
from core.paging import Part
from core.principal import Principal
from deployments.kit.records import Kind, Records, TooMany
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key
from gateway.access import Access
from gateway.changes import Changes
from gateway.errors import responses
from gateway.fields import NewRecord
from gateway.schemas import Envelope, Message, Page, PageQuery, SyncQuery
from store.kit.engine import Transaction

# A part of a list, as a caller asks for it by a query.
Listed = Callable[[Transaction, Principal, Any], Awaitable[Part[Any]]]


@dataclass(frozen=True, slots=True)
class About:
    """What the documentation says of each route of a kind."""

    list: str = ""
    get: str = ""
    create: str = ""
    change: str = "Changes what the body gives; what it leaves out stays."
    delete: str = ""


def _everything(query: Any) -> tuple[Any, ...]:
    return ()


def record_routes(
    kind: Kind[Any],
    *,
    read: Access,
    write: Access,
    new: type[NewRecord],
    changes: type[Changes],
    out: type[BaseModel],
    query: type[PageQuery] = SyncQuery,
    narrowed: Callable[[Any], tuple[Any, ...]] = _everything,
    listed: Listed | None = None,
    create: Access | None = None,
    about: About | None = None,
) -> Router:
    """A router with the routes of `kind`. `read` and `write` may use them, and `create` make what
    is new if others than `write` may; `new` and `changes` are the bodies, `out` the answer.
    `narrowed` makes conditions of a `query`; `listed` reads the list in another way."""
    router, about = Router(), about or About()

    async def part(tx: Transaction, principal: Principal, query: Any) -> Part[Any]:
        return await kind.rows.part(tx, query.span, *narrowed(query))

    _reading(router, kind, read, out, query, listed or part, about)
    _creating(router, kind, create or write, new, out, about)
    _writing(router, kind, write, changes, out, about)
    return router


def _reading(
    router: Router,
    kind: Kind[Any],
    read: Access,
    out: type[BaseModel],
    query: type[PageQuery],
    listed: Listed,
    about: About,
) -> None:
    many = kind.path.strip("/").replace("-", "_")
    row_id = Annotated[UUID, Path(alias=_identifier(kind))]
    reader = Annotated[Principal, Depends(read)]
    filters = Annotated[query, Query()]  # type: ignore[valid-type]

    @router.get(
        kind.path,
        name=f"list_{many}",
        summary=f"List {many.replace('_', ' ')}",
        description=about.list,
    )
    async def list_(shared: Shared, principal: reader, query: filters) -> Page[out]:  # type: ignore[valid-type]
        return await Records(shared, principal, kind).page(lambda tx: listed(tx, principal, query))

    @router.get(
        _place(kind),
        name=f"get_{kind.noun}",
        summary=f"Get {_one(kind)}",
        description=about.get,
        responses=responses(NotFound),
    )
    async def get(shared: Shared, principal: reader, row_id: row_id) -> Envelope[out]:  # type: ignore[valid-type]
        return Envelope(data=await Records(shared, principal, kind).get(row_id))


def _creating(
    router: Router,
    kind: Kind[Any],
    write: Access,
    new: type[NewRecord],
    out: type[BaseModel],
    about: About,
) -> None:
    writer = Annotated[Principal, Depends(write)]
    too_many = () if kind.most is None else (TooMany,)

    @router.post(
        kind.path,
        name=f"create_{kind.noun}",
        summary=f"Create {_one(kind)}",
        description=about.create,
        status_code=201,
        responses=responses(NotFound, Conflict, *too_many, *_others(kind)),
    )
    async def create(shared: Shared, principal: writer, key: Key, body: new) -> Made[out]:  # type: ignore[valid-type]
        return await Records(shared, principal, kind).create(key, body.values())  # type: ignore[attr-defined]


def _writing(
    router: Router,
    kind: Kind[Any],
    write: Access,
    changes: type[Changes],
    out: type[BaseModel],
    about: About,
) -> None:
    row_id = Annotated[UUID, Path(alias=_identifier(kind))]
    writer = Annotated[Principal, Depends(write)]

    @router.put(
        _place(kind),
        name=f"change_{kind.noun}",
        summary=f"Change {_one(kind)}",
        description=about.change,
        responses=responses(NotFound, Conflict, *_others(kind)),
    )
    async def change(
        shared: Shared,
        principal: writer,
        key: Key,
        row_id: row_id,
        body: changes,  # type: ignore[valid-type]
    ) -> Made[out]:  # type: ignore[valid-type]
        records = Records(shared, principal, kind)
        return await records.change(key, row_id, body.values(), body.version)  # type: ignore[attr-defined]

    @router.delete(
        _place(kind),
        name=f"delete_{kind.noun}",
        summary=f"Delete {_one(kind)}",
        description=about.delete,
        responses=responses(NotFound, *kind.removal_refusals),
    )
    async def delete(shared: Shared, principal: writer, key: Key, row_id: row_id) -> Made[Message]:
        return await Records(shared, principal, kind).remove(key, row_id)


def _others(kind: Kind[Any]) -> tuple[type[HoldfastError], ...]:
    return tuple(refusal for refusal in kind.refusals if refusal is not NotFound)


def _identifier(kind: Kind[Any]) -> str:
    return f"{_camel(kind.noun)}Id"


def _place(kind: Kind[Any]) -> str:
    return f"{kind.path}/{{{_identifier(kind)}}}"


def _one(kind: Kind[Any]) -> str:
    """Its words with the article: "a tax class"."""
    return f"{'an' if kind.words[0] in 'aeiou' else 'a'} {kind.words}"


def _camel(noun: str) -> str:
    first, *rest = noun.split("_")
    return first + "".join(word.capitalize() for word in rest)
