"""Keys: a business's service keys and its members' API keys. Made, listed, rotated, revoked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from core import moments
from core.errors import Conflict, FieldError, Forbidden, NotFound, Unauthenticated, ValidationFailed
from core.ids import uuid7
from core.paging import Part, Span
from core.principal import Principal
from core.request import RequestKey
from deployments.auth.keys.schemas import IssuedKeyOut, KeyOut, NewKey
from deployments.auth.people.members import actor_role
from deployments.auth.people.ranks import check_grant, check_touch
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change, page
from gateway.access import tenant_of
from gateway.access_keys import API_PREFIX, SERVICE_PREFIX, KeyText, mint
from gateway.schemas import Page
from store.kit import audit
from store.kit.engine import Scope, Transaction
from store.people import access_keys, members, sessions
from store.people.access_keys import MAX_API_KEYS, MAX_SERVICE_KEYS, AccessKey

API_KEY_LIFETIME = timedelta(days=90)
LONGEST_API_KEY_LIFETIME = timedelta(days=366)


class TooManyKeys(Conflict):
    code, title = "too_many_keys", "Too many keys"
    default_detail = (
        f"A business has at most {MAX_SERVICE_KEYS} live service keys, and a person"
        f" {MAX_API_KEYS} API keys in it; revoke one first."
    )


class KeyEnded(Conflict):
    code, title = "key_ended", "Key ended"
    default_detail = "The key has been revoked or has expired; create a new one."


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose keys are meant: a business's, or with `user_id` those of that person in it."""

    tenant_id: UUID
    user_id: UUID | None = None

    @property
    def noun(self) -> str:
        return "service_key" if self.user_id is None else "api_key"

    @property
    def prefix(self) -> str:
        return SERVICE_PREFIX if self.user_id is None else API_PREFIX


@dataclass(frozen=True, slots=True)
class Terms:
    """What a key is for, and until when."""

    name: str
    scopes: Sequence[str]
    expires_at: datetime | None
    rate_limit_per_second: int | None


def business_of(principal: Principal) -> Holder:
    """The caller's business as the holder of service keys."""
    return Holder(tenant_of(principal))


def member_of(principal: Principal, user_id: UUID | None = None) -> Holder:
    """The caller, or another member of the same business, as the holder of API keys."""
    return Holder(tenant_of(principal), user_id or UUID(principal.id))


async def key_of_caller(shared: Resources, principal: Principal) -> AccessKey:
    """The service key behind a principal. Raises Unauthenticated if it is gone."""
    async with shared.db.transaction(Scope(tenant_id=principal.tenant_id)) as tx:
        key = await access_keys.get(tx, UUID(principal.id))
    if key is None:
        raise Unauthenticated("The service key is gone.")
    return key


async def create(
    shared: Resources, holder: Holder, principal: Principal, key: RequestKey, body: NewKey
) -> Made[IssuedKeyOut]:
    """A new key with its secret. Raises TooManyKeys; ValidationFailed for an expiry that is past
    or too far; Forbidden for a caller who may not any more; Unauthenticated;
    IdempotencyMismatch."""
    expires_at = _expiry(shared, holder, body.expires_at)
    terms = Terms(body.name, body.scopes, expires_at, body.rate_limit_per_second)

    async def make(tx: Transaction, text: KeyText) -> AccessKey:
        await _admit(tx, holder, principal)
        made = await _add(tx, holder, principal, text, terms)
        await _note(tx, holder, principal, "created", made)
        return made

    return await _shown_once(shared, holder, principal, key, make)


async def rotate(
    shared: Resources,
    holder: Holder,
    principal: Principal,
    key: RequestKey,
    key_id: UUID,
    grace_seconds: int,
) -> Made[IssuedKeyOut]:
    """A new key in the place of an old one, which ends after the grace: at once if there is none,
    else to within the minutes for which replicas remember a key. Raises NotFound for other
    holders' keys too; KeyEnded; what `create` raises."""
    now = _now(shared)

    async def make(tx: Transaction, text: KeyText) -> AccessKey:
        await _admit(tx, holder, principal)
        old = await access_keys.get(tx, key_id, lock=True)
        if old is None or old.user_id != holder.user_id:
            raise NotFound("There is no such key here.")
        if old.revoked_at is not None or (old.expires_at and old.expires_at <= now):
            raise KeyEnded
        if grace_seconds:
            await access_keys.expire(tx, key_id, now + timedelta(seconds=grace_seconds))
        else:
            await access_keys.revoke(tx, key_id)
        terms = Terms(old.name, old.scopes, old.expires_at, old.rate_limit_per_second)
        made = await _add(tx, holder, principal, text, terms)
        await _note(tx, holder, principal, "rotated", made, replaces=key_id)
        return made

    made = await _shown_once(shared, holder, principal, key, make)
    if not grace_seconds:
        shared.edge.tokens.revoke(key_id)
    return made


async def listed(
    shared: Resources, holder: Holder, principal: Principal, span: Span
) -> Page[KeyOut]:
    """A holder's keys, newest first. Raises Forbidden or NotFound for a person who is not below
    the caller."""

    async def read(tx: Transaction) -> Part[AccessKey]:
        if holder.user_id not in (None, UUID(principal.id)):
            actor = await members.get(tx, UUID(principal.id))
            await _check_below(tx, actor.role if actor else None, holder.user_id)
        return await access_keys.listed(tx, holder.tenant_id, holder.user_id, span)

    return await page(shared, principal, read, KeyOut.shown)


async def one(shared: Resources, holder: Holder, principal: Principal, key_id: UUID) -> KeyOut:
    """A key of the holder's or, where that is a person, of somebody's below them. Raises NotFound,
    for all others' keys too."""
    async with shared.db.transaction(Scope(holder.tenant_id)) as tx:
        found = await access_keys.get(tx, key_id)
        await _check_reach(tx, holder, principal, found)
    if found is None:
        raise NotFound("There is no such key here.")
    return KeyOut.shown(found)


async def revoke(
    shared: Resources, holder: Holder, principal: Principal, key: RequestKey, key_id: UUID
) -> Made[KeyOut]:
    """Ends a key of the holder's or, where that is a person, of somebody's below them: here at
    once, on other replicas within seconds. Raises NotFound, for all others' keys too;
    IdempotencyMismatch."""

    async def work(tx: Transaction) -> Made[KeyOut]:
        await _check_reach(tx, holder, principal, await access_keys.get(tx, key_id))
        revoked = await access_keys.revoke(tx, key_id)
        if revoked is None:
            raise NotFound("There is no such key here.")
        await _note(tx, holder, principal, "revoked", revoked)
        return Made.of(KeyOut.shown(revoked))

    made = await change(shared, principal, key, work)
    shared.edge.tokens.revoke(key_id)
    return made


async def _shown_once(
    shared: Resources,
    holder: Holder,
    principal: Principal,
    key: RequestKey,
    make: Callable[[Transaction, KeyText], Awaitable[AccessKey]],
) -> Made[IssuedKeyOut]:
    """Makes a key, once. The command log keeps the answer without the secret, so a repeat shows
    the key alone."""
    text = mint(holder.prefix, holder.tenant_id, uuid7())
    made: AccessKey | None = None

    async def work(tx: Transaction) -> Made[IssuedKeyOut]:
        nonlocal made
        made = await make(tx, text)
        return _shown(made, None)

    kept = await change(shared, principal, key, work)
    return kept if made is None else _shown(made, text.text)


async def _admit(tx: Transaction, holder: Holder, principal: Principal) -> None:
    """That the caller may make keys now, whatever the token says: a member, for the business a
    manager of it, whose session has not ended. It stays so until `tx` ends, so whatever ends the
    session finds the key. Raises NotFound, Forbidden, Unauthenticated."""
    actor = await actor_role(tx, principal)
    if holder.user_id is None:
        check_grant(actor, "cashier")
    elif actor is None:
        raise Forbidden("You do not work for this business any more.")
    if principal.session_id and await sessions.has_ended(tx, UUID(principal.session_id)):
        raise Unauthenticated("The session was ended; sign in again.")


async def _add(
    tx: Transaction,
    holder: Holder,
    principal: Principal,
    text: KeyText,
    terms: Terms,
) -> AccessKey:
    made = await access_keys.add(
        tx,
        key_id=text.key_id,
        tenant_id=holder.tenant_id,
        user_id=holder.user_id,
        name=terms.name,
        key_hash=text.hash,
        scopes=terms.scopes,
        created_by=UUID(principal.id),
        expires_at=terms.expires_at,
        rate_limit_per_second=terms.rate_limit_per_second,
    )
    if made is None:
        raise TooManyKeys
    return made


async def _check_reach(
    tx: Transaction, holder: Holder, principal: Principal, found: AccessKey | None
) -> None:
    """That a key is the holder's, or an API key of a member below the holder. Raises NotFound."""
    if found is not None and found.user_id == holder.user_id:
        return
    if found is None or found.user_id is None or holder.user_id is None:
        raise NotFound("There is no such key here.")
    try:
        await _check_below(tx, await actor_role(tx, principal), found.user_id)
    except Forbidden as error:
        raise NotFound("There is no such key here.") from error


async def _check_below(tx: Transaction, actor: str | None, user_id: UUID | None) -> None:
    """That somebody with the role `actor` may look after the keys of a member. Raises Forbidden;
    NotFound if there is no such member."""
    check_grant(actor, "cashier")
    member = await members.get(tx, user_id) if user_id else None
    if member is None:
        raise NotFound("There is no such member here.")
    check_touch(actor, member.role)


def _expiry(shared: Resources, holder: Holder, wanted: datetime | None) -> datetime | None:
    """When a key will end. A person's always does: people forget what they made."""
    now = _now(shared)
    if wanted is None:
        return None if holder.user_id is None else now + API_KEY_LIFETIME
    if wanted <= now:
        raise ValidationFailed([FieldError("expiresAt", "must be in the future")])
    if holder.user_id is not None and wanted > now + LONGEST_API_KEY_LIFETIME:
        days = LONGEST_API_KEY_LIFETIME.days
        raise ValidationFailed([FieldError("expiresAt", f"must be within {days} days")])
    return wanted


def _now(shared: Resources) -> datetime:
    return moments.of_ms(shared.clock.now_ms())


def _shown(key: AccessKey, secret: str | None) -> Made[IssuedKeyOut]:
    return Made.of(IssuedKeyOut.shown(key, secret=secret), 201)


async def _note(
    tx: Transaction,
    holder: Holder,
    principal: Principal,
    verb: str,
    key: AccessKey,
    replaces: UUID | None = None,
) -> None:
    """What may be known of a key: neither its text nor its hash."""
    names = ("name", "scopes", "expires_at", "rate_limit_per_second")
    changes: dict[str, tuple[Any, Any]] = {}
    if verb != "revoked":
        changes = {name: (None, getattr(key, name)) for name in names}
    if replaces is not None:
        changes["id"] = (replaces, key.id)
    action = f"{holder.noun}.{verb}"
    await audit.record(tx, holder.tenant_id, principal, action, key.id, changes)
