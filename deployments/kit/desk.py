"""How a replica has the owner of an aggregate decide: it prepares the command, and the owner has
the last word.

A request may be the repeat of one that was done, and whose answer was lost. By then prices may have
changed, goods may be gone: what a replica looks at to prepare the command says no. So a replica
refuses nothing by itself that came with a client's key: it tells the owner, under that very key,
and the owner answers what it answered before, or else remembers the refusal as one of its own.

What is refused is raised, as the error class that stands for the refusal's code (`core.errors`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import UUID

from actors.families import COMMERCE, decode_reply, encode_command
from actors.messages import TURNED_DOWN, Command, Refused, Reply, TurnDown, replies_of
from actors.runtime.bus import CommandBus
from core.errors import HoldfastError, TooManyRequests
from core.principal import Principal
from core.request import RequestKey
from deployments.kit import refusals
from deployments.kit.receipts import Ordered
from gateway.access import tenant_of

if TYPE_CHECKING:
    from deployments.kit.capability import Capability
    from deployments.kit.resources import Resources

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R", bound=Reply)

# Prepares a command. What it raises is the refusal of the request.
Draft = Callable[[], Awaitable[Command[R]]]


class Asked(NamedTuple):
    """What hooks learn: which caller asks which owner for what. `key` is None for a read."""

    shared: Resources
    principal: Principal
    tenant_id: UUID
    key: RequestKey | None
    command: Command[Any]


Before = Callable[[Asked], Awaitable[None]]
AfterRefusal = Callable[[Asked, Refused], Awaitable[None]]


class Hooks(NamedTuple):
    """What capabilities do around a decision: by type of command before its owner is asked, where
    what they raise is the refusal; by code after a refusal, before the caller hears of it."""

    before: Mapping[type, Before]
    refused: Mapping[str, AfterRefusal]


def hooks_of(capabilities: Iterable[Capability]) -> Hooks:
    """All that the capabilities bring. Raises ValueError where two bring one for the same."""
    several = tuple(capabilities)
    return Hooks(
        _joined([capability.before for capability in several]),
        _joined([capability.refused for capability in several]),
    )


def _joined(parts: Iterable[Mapping[K, V]]) -> dict[K, V]:
    whole: dict[K, V] = {}
    for part in parts:
        if both := whole.keys() & part.keys():
            raise ValueError(f"two capabilities have a hook for {both}")
        whole |= part
    return whole


async def send(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    wanted: Command[R] | Draft[R],
    tenant_id: UUID | None = None,
) -> Ordered[R]:
    """Has the owner decide, in the caller's own business or in the one that is named. Everything
    that may have changed since an earlier try belongs into the draft. Raises what stands for a
    refusal, what the draft raised, then or now, and what the bus raises."""
    tenant_id = tenant_id or tenant_of(principal)
    command = await _prepared(key, wanted) if callable(wanted) else wanted
    return await _answered(shared, principal, tenant_id, key, command)


async def ask(
    shared: Resources, principal: Principal, wanted: Command[R], tenant_id: UUID | None = None
) -> R:
    """What the owner has committed, as of now. Raises as `send` does."""
    tenant_id = tenant_id or tenant_of(principal)
    return (await _answered(shared, principal, tenant_id, None, wanted)).reply


async def decide(
    bus: CommandBus, principal: str, tenant_id: UUID, key: RequestKey | None, command: Command[R]
) -> Ordered[R | Refused]:
    """Has the owner decide, for a caller that looks at refusals itself; without a key it is a read.
    Raises what the bus raises, and TypeError for a reply that the command does not know."""
    body = encode_command(command)
    if key is None:
        decided = await bus.read(COMMERCE, tenant_id, principal, body)
    else:
        decided = await bus.send(COMMERCE, tenant_id, principal, body, key)
    reply = decode_reply(decided.reply)
    kind, asked = type(reply), type(command)
    if kind is not Refused and kind not in replies_of(asked) and asked is not TurnDown:
        raise TypeError(f"{asked.__name__} was answered {kind.__name__}")
    return Ordered(reply, decided.receipts)


async def _answered(
    shared: Resources,
    principal: Principal,
    tenant_id: UUID,
    key: RequestKey | None,
    command: Command[R],
) -> Ordered[R]:
    hooks = shared.hooks
    before = hooks.before.get(type(command))
    if before is not None:
        await before(Asked(shared, principal, tenant_id, key, command))
    decided = await decide(shared.bus, principal.id, tenant_id, key, command)
    refused = decided.reply
    if type(refused) is not Refused:
        return decided  # type: ignore[return-value]
    if refused.code == TURNED_DOWN:
        raise refusals.first_refusal(str(refused.facts["problem"]))
    if refused.code in hooks.refused:
        asked = Asked(shared, principal, tenant_id, key, command)
        await hooks.refused[refused.code](asked, refused)
    raise refusals.error_of(refused)


async def _prepared(key: RequestKey, draft: Draft[R]) -> Command[R]:
    try:
        return await draft()
    except HoldfastError as error:
        # Nobody can repeat a key that the gateway made. Unavailable says nothing of the request,
        # and neither does that there were too many.
        if not key.client_supplied or error.status >= 500 or isinstance(error, TooManyRequests):
            raise
        return TurnDown(refusals.as_text(error))
