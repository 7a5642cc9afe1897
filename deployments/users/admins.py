"""What a platform's admins do to accounts, and what is written down of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from uuid import UUID

from core.errors import Conflict, Forbidden, NotFound
from core.principal import Principal, Role
from core.request import RequestKey
from deployments.business.schemas import AuditOut, AuditQuery
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change, page
from deployments.users.events import RoleChanged, UserDisabled, UserEnabled
from deployments.users.schemas import AccountOut, UserQuery
from gateway.schemas import Page
from store.kit import audit
from store.kit.engine import Scope, Transaction
from store.kit.outbox import emit
from store.people import access_keys, profiles, sessions
from store.people.profiles import Listed


class NotYourself(Conflict):
    code, title = "not_yourself", "Not yourself"
    default_detail = "An administrator cannot do this to the own account."


async def people(shared: Resources, principal: Principal, query: UserQuery) -> Page[AccountOut]:
    read = partial(
        profiles.people, span=query.span, words=query.q, role=query.role, disabled=query.disabled
    )
    return await page(shared, principal, read, AccountOut.shown, Scope())


async def account(shared: Resources, user_id: UUID) -> AccountOut:
    """Raises NotFound."""
    async with shared.db.transaction(Scope()) as tx:
        return AccountOut.shown(_found(await profiles.get(tx, user_id)))


async def log(shared: Resources, principal: Principal, query: AuditQuery) -> Page[AuditOut]:
    """What an admin did as one. Each admin's lines are filed under their own id, so that is whose
    are read, and nothing that somebody did as anything else."""
    filters = query.filters()
    actor_id = filters.actor_id or UUID(principal.id)
    narrowed = replace(filters, actor_id=actor_id, actor_role=Role.ADMIN.value)
    read = partial(audit.entries, filters=narrowed, span=query.span)
    return await page(shared, principal, read, AuditOut.of, Scope(actor_id))


async def set_disabled(
    shared: Resources, principal: Principal, key: RequestKey, user_id: UUID, *, disabled: bool
) -> Made[AccountOut]:
    """Closes an account, or opens it again. A closed one signs in nowhere; its sessions and API
    keys end, here at once, elsewhere within seconds. Raises NotFound, NotYourself."""

    async def work(tx: Transaction, before: Listed) -> bool:
        if (before.disabled_at is not None) is disabled:
            return False
        await profiles.set_disabled(tx, user_id, disabled=disabled)
        action = "user.disabled" if disabled else "user.enabled"
        await audit.record(tx, UUID(principal.id), principal, action, user_id)
        event = UserDisabled if disabled else UserEnabled
        await emit(tx, UUID(principal.id), user_id, event(user_id=user_id))
        return disabled

    return await _govern(shared, principal, key, user_id, work)


async def set_role(
    shared: Resources, principal: Principal, key: RequestKey, user_id: UUID, role: str | None
) -> Made[AccountOut]:
    """Makes a person something else on the platform; their sessions and API keys end, so
    that none goes on with the old role. Raises NotFound, NotYourself."""

    async def work(tx: Transaction, before: Listed) -> bool:
        if role is None or before.role == role:
            return False
        await profiles.set_role(tx, user_id, role)
        changes = {"role": (before.role, role)}
        await audit.record(tx, UUID(principal.id), principal, "user.role_changed", user_id, changes)
        event = RoleChanged(user_id=user_id, role=role)
        await emit(tx, UUID(principal.id), user_id, event)
        return True

    return await _govern(shared, principal, key, user_id, work)


async def _govern(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    user_id: UUID,
    work: Callable[[Transaction, Listed], Awaitable[bool]],
) -> Made[AccountOut]:
    """Runs what an admin does to an account. `work` returns whether its sessions and API keys must
    end."""
    admin_id = UUID(principal.id)
    if user_id == admin_id:
        raise NotYourself
    ended = list[UUID]()

    async def whole(tx: Transaction) -> Made[AccountOut]:
        # An admin who was demoted a moment ago is none, whatever the token says. Locked in the
        # order of their ids, so that of two who demote each other one comes second.
        first, second = sorted((admin_id, user_id))
        accounts = {each: await profiles.lock(tx, each) for each in (first, second)}
        actor, subject = accounts[admin_id], _found(accounts[user_id])
        if actor is None or actor.role != Role.ADMIN or actor.disabled_at is not None:
            raise Forbidden("You are no administrator any more.")
        if await work(tx, subject):
            ended.extend(await sessions.end_where(tx, user_id=user_id))
            ended.extend(await access_keys.end_of(tx, user_id))
        return Made.of(AccountOut.shown(_found(await profiles.get(tx, user_id))))

    # The log is the admin's, and what is changed that person's.
    made = await change(shared, principal, key, whole, Scope(admin_id, user_id))
    for proof_id in ended:
        shared.edge.tokens.revoke(proof_id)
    return made


def _found(listed: Listed | None) -> Listed:
    if listed is None:
        raise NotFound("There is no such person.")
    return listed
