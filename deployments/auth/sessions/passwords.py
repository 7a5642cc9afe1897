"""Passwords: changed by the person who knows the old one, or set anew with the mail's link."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from uuid import UUID

from core import moments
from core.errors import FieldError, InvalidCredentials, NotFound, Unauthenticated, ValidationFailed
from core.ids import uuid7
from core.principal import Principal, Role
from deployments.auth.events import PasswordChanged, ResetRequested
from deployments.auth.sessions.schemas import PasswordChanges, PasswordReset
from deployments.kit.resources import Resources
from gateway.links import NONCE_BYTES, parse
from gateway.passwords import prepared
from gateway.throttle import (
    LINK_PER_ADDRESS,
    LOGIN_PER_ACCOUNT,
    RESET_PER_ACCOUNT,
    RESET_PER_ADDRESS,
)
from store.kit import audit
from store.kit.engine import Scope
from store.kit.outbox import emit
from store.people import access_keys, password_resets, sessions, users

RESET_TTL = timedelta(hours=1)
# Every request is answered after this time, so that the time does not show who has an account.
ANSWER_AFTER_SECONDS = 0.4


async def change(
    shared: Resources, principal: Principal, address: str, body: PasswordChanges
) -> None:
    """Sets a new password and ends the caller's other sessions. Raises InvalidCredentials if the
    present one is wrong; ValidationFailed if nothing would change; TooManyRequests."""
    edge, user_id, current = shared.edge, UUID(principal.id), body.current_password
    async with shared.db.transaction(Scope(user_id=user_id)) as tx:
        user = await users.user_by_id(tx, user_id)
    if user is None or user.disabled:
        raise Unauthenticated("The account is closed.")
    await edge.throttle.attempt(LOGIN_PER_ACCOUNT, user.email, address)
    if not await edge.passwords.matches(current, user.password_hash):
        raise InvalidCredentials("The current password is wrong.")
    await edge.throttle.forgive(LOGIN_PER_ACCOUNT, user.email, address)
    if prepared(current) == prepared(body.new_password):
        raise ValidationFailed([FieldError("newPassword", "must be another one")])
    kept = UUID(principal.session_id) if principal.session_id else None
    await _set(shared, principal, user, body.new_password, kept=kept)


async def request_reset(shared: Resources, address: str, email: str) -> None:
    """Asks for a mail with a link, by an event that carries the request's id. Says and does the
    same, for as long, whether or not there is such an account. Raises TooManyRequests."""
    answer_at = asyncio.get_running_loop().time() + ANSWER_AFTER_SECONDS
    await shared.edge.throttle.attempt(RESET_PER_ADDRESS, address)
    await shared.edge.throttle.attempt(RESET_PER_ACCOUNT, email)
    async with shared.db.transaction(Scope()) as tx:
        user = await users.user_by_email(tx, email)
    if user is not None and not user.disabled:
        reset_id, nonce = uuid7(), secrets.token_bytes(NONCE_BYTES)
        expires_at = moments.of_ms(shared.clock.now_ms()) + RESET_TTL
        # What is a person's alone goes by the user's id where a business's would stand.
        async with shared.db.transaction(Scope(tenant_id=user.id, user_id=user.id)) as tx:
            await password_resets.add(tx, reset_id, user.id, nonce, expires_at)
            await emit(tx, user.id, reset_id, ResetRequested(id=reset_id, user_id=user.id))
    await asyncio.sleep(max(0.0, answer_at - asyncio.get_running_loop().time()))


async def reset(shared: Resources, address: str, body: PasswordReset) -> None:
    """Sets a new password for the caller who holds the link, once, and ends all of the account's
    sessions and API keys. Raises NotFound, the same for what never was, is used or expired;
    TooManyRequests."""
    await shared.edge.throttle.attempt(LINK_PER_ADDRESS, address)
    text = parse("password-reset", body.token)
    if text is None:
        raise _not_open()
    async with shared.db.transaction(Scope(user_id=text.scope_id)) as tx:
        found = await password_resets.get(tx, text.id)
        user = await users.user_by_id(tx, text.scope_id)
    if (
        found is None
        or user is None
        or user.disabled
        or not found.open
        or found.user_id != user.id
        or not shared.edge.links.holds("password-reset", text, found.nonce)
    ):
        raise _not_open()
    actor = Principal(str(user.id), Role(user.role))
    await _set(shared, actor, user, body.password, reset_id=found.id)


async def _set(
    shared: Resources,
    actor: Principal,
    user: users.User,
    password: str,
    *,
    kept: UUID | None = None,
    reset_id: UUID | None = None,
) -> None:
    password_hash = await shared.edge.passwords.hash(password)
    async with shared.db.transaction(Scope(tenant_id=user.id, user_id=user.id)) as tx:
        if reset_id is not None:
            # Asked again under the lock: of two who bring one link, one sets a password.
            found = await password_resets.get(tx, reset_id, lock=True)
            if found is None or not found.open:
                raise _not_open()
        await users.set_password_hash(tx, user.id, password_hash)
        await password_resets.use_up(tx, user.id)
        ended = await sessions.end_where(tx, user_id=user.id, except_id=kept)
        if reset_id is not None:
            await users.mark_verified(tx, user.id)
            # The keys may have been made by somebody else than the person who needed the link.
            ended.extend(await access_keys.end_of(tx, user.id))
        await emit(tx, user.id, user.id, PasswordChanged(user_id=user.id))
        action = "password.reset" if reset_id else "password.changed"
        await audit.record(tx, user.id, actor, action, user.id)
    for proof_id in ended:
        shared.edge.tokens.revoke(proof_id)


def _not_open() -> NotFound:
    return NotFound("The link is not valid, or not any more.")
