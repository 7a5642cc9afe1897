"""How a replica has the owner of an aggregate decide: it prepares the command, and the owner has
the last word.

A request may be the repeat of one that was done, and whose answer was lost. By then prices may have
changed, goods may be gone: what a replica looks at to prepare the command says no. So a replica
refuses nothing by itself that came with a client's key: it tells the owner, under that very key,
and the owner answers what it answered before, or else remembers the refusal as one of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec

from actors.families import COMMERCE, decode_reply, encode_command
from actors.messages import TURNED_DOWN, Command, Refused, TurnDown
from actors.runtime.wire import Receipt
from core.errors import FieldError, HoldfastError, TooManyRequests
from core.principal import Principal
from core.request import RequestKey
from deployments.catalog.variants import parents
from deployments.kit.resources import Resources
from gateway.errors import MOST_FIELD_ERRORS

Receipts = tuple[Receipt, ...]
# Prepares a command. What it raises is the refusal of the request.
Draft = Callable[[], Awaitable[Command]]


async def decided(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    tenant_id: UUID,
    wanted: Command | Draft,
) -> tuple[Any, Receipts]:
    """The owner's reply, perhaps a `Refused`, with receipts of order. Everything that may have
    changed since an earlier try belongs into the draft. Raises what the draft raised, then or now,
    and what the bus raises."""
    command = await _prepared(key, wanted) if callable(wanted) else wanted
    answer = await shared.bus.send(COMMERCE, tenant_id, principal.id, encode_command(command), key)
    reply = decode_reply(answer.reply)
    if isinstance(reply, Refused) and reply.code == TURNED_DOWN:
        raise _as_error(str(reply.facts["problem"]))
    await parents.settle(shared.db, shared.bus, principal, key, tenant_id, reply)
    return reply, answer.receipts


async def _prepared(key: RequestKey, draft: Draft) -> Command:
    try:
        return await draft()
    except HoldfastError as error:
        # Nobody can repeat a key that the gateway made. Unavailable says nothing of the request,
        # and neither does that there were too many.
        if not key.client_supplied or error.status >= 500 or isinstance(error, TooManyRequests):
            raise
        return TurnDown(_as_text(error))


class _Told(msgspec.Struct):
    """An error as it travels."""

    status: int
    code: str
    title: str
    detail: str
    errors: list[FieldError]
    extra: dict[str, Any]


def _as_text(error: HoldfastError) -> str:
    errors = list(error.errors[:MOST_FIELD_ERRORS])
    told = _Told(error.status, error.code, error.title, error.detail, errors, error.extra)
    return msgspec.json.encode(told).decode()


def _as_error(text: str) -> HoldfastError:
    """The error as it was first told, perhaps by another replica."""
    told = msgspec.json.decode(text, type=_Told)
    names = {"status": told.status, "code": told.code, "title": told.title}
    kind = type("ToldBefore", (HoldfastError,), names)
    error: HoldfastError = kind(told.detail, errors=told.errors, extra=told.extra)
    return error
