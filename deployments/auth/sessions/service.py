"""Sessions: how they begin, go on and end."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from core import moments
from core.errors import InvalidCredentials, NotFound, Unauthenticated
from core.ids import uuid7
from core.principal import Principal, Role, role_in_business
from core.request import RequestKey
from deployments.auth.sessions.schemas import Credentials, LoginOut, SessionOut, TokensOut, UserOut
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change, own_scope
from gateway.edge import Edge
from gateway.schemas import Message
from gateway.throttle import LOGIN_PER_ACCOUNT, LOGIN_PER_ADDRESS, REFRESH_PER_ADDRESS
from store.kit.engine import Scope, Transaction
from store.people import sessions, users

REFRESH_PREFIX = "hfr_"
_TOKEN_BYTES = 32


class Account(NamedTuple):
    """A person, and in which role and for which business they act."""

    user: users.User
    role: Role
    tenant_id: UUID | None


async def login(
    shared: Resources, address: str, user_agent: str, credentials: Credentials
) -> LoginOut:
    """A new session, in the business that is asked for or else the one joined first. Raises
    InvalidCredentials, the same and after the same time whether the account, the password or the
    permission is what lacks; NotFound for a business that the user does not work for;
    TooManyRequests; Unavailable."""
    edge, email, password = shared.edge, credentials.email, credentials.password
    await edge.throttle.attempt(LOGIN_PER_ADDRESS, address)
    await edge.throttle.attempt(LOGIN_PER_ACCOUNT, email, address)
    async with shared.db.transaction(Scope()) as tx:
        user = await users.user_by_email(tx, email)
    right = await edge.passwords.matches(password, user.password_hash if user else None)
    if user is None or not right or user.disabled:
        raise InvalidCredentials
    await edge.throttle.forgive(LOGIN_PER_ACCOUNT, email, address)
    better_hash = None
    if edge.passwords.is_outdated(password, user.password_hash):
        better_hash = await edge.passwords.hash(password)
    session_id = uuid7()
    refresh_token = _new_refresh_token()
    expires_at = _refresh_expiry(shared)
    async with shared.db.transaction(Scope(user_id=user.id)) as tx:
        # A change of the password or the account's end meanwhile ends this session too.
        if not await users.hold_still(tx, user):
            raise InvalidCredentials
        if better_hash is not None:
            await users.set_password_hash(tx, user.id, better_hash)
        places = await users.memberships_of(tx, user.id)
        account = _account(user, _chosen(places, credentials.tenant_id))
        await sessions.open_session(
            tx,
            session_id=session_id,
            user_id=user.id,
            business_id=account.tenant_id,
            user_agent=user_agent,
            expires_at=expires_at,
        )
        await sessions.add_refresh_token(tx, _hash(refresh_token), session_id, expires_at)
    tokens = _issue(edge, account, session_id, refresh_token)
    signed_in = UserOut.shown(user, role=account.role, tenant_id=account.tenant_id)
    return LoginOut.shown(tokens, user=signed_in)


async def refresh(shared: Resources, address: str, refresh_token: str) -> TokensOut:
    """New tokens for a session; the old refresh token is used up. Two tabs that use it at once, and
    whoever asks again because no answer came, get the same new one. One that was used before that
    was stolen, then or now: its session ends. Raises Unauthenticated; TooManyRequests."""
    edge = shared.edge
    await edge.throttle.attempt(REFRESH_PER_ADDRESS, address)
    if not refresh_token.startswith(REFRESH_PREFIX):
        raise Unauthenticated("The refresh token is not valid.")
    token_hash = _hash(refresh_token)
    replacement = _new_refresh_token()
    expires_at = _refresh_expiry(shared)
    async with shared.db.transaction(Scope()) as tx:
        user_id = await sessions.owner_of(tx, token_hash)
    if user_id is None:
        raise Unauthenticated("The refresh token is not valid.")
    async with shared.db.transaction(Scope(user_id=user_id)) as tx:
        sealed = _sealed(refresh_token, replacement)
        used = await sessions.use_refresh_token(tx, token_hash, sealed)
        user = await users.user_by_id(tx, user_id)
        places = await users.memberships_of(tx, user_id)
        account = _resumed(user, places, used.session)
        if used.successor is not None:
            replacement = _unsealed(refresh_token, used.successor)
        elif used.session is not None and account is not None:
            await sessions.add_refresh_token(tx, _hash(replacement), used.session.id, expires_at)
    # Raised only now: that the token was used, or its session revoked, is committed.
    if used.revoked is not None:
        edge.tokens.revoke(used.revoked)
        raise Unauthenticated("The refresh token was used before; sign in again.")
    if used.session is None or account is None:
        raise Unauthenticated("The refresh token is not valid any more; sign in again.")
    return _issue(edge, account, used.session.id, replacement)


async def logout(shared: Resources, principal: Principal) -> None:
    """Ends the caller's session: here at once, on other replicas within seconds."""
    if principal.session_id is None:
        raise Unauthenticated
    session_id = UUID(principal.session_id)
    async with shared.db.transaction(Scope(user_id=UUID(principal.id))) as tx:
        await sessions.revoke_sessions(tx, [session_id])
    shared.edge.tokens.revoke(session_id)


async def own_sessions(shared: Resources, principal: Principal) -> list[SessionOut]:
    """The caller's sessions that have not ended, the one refreshed last first."""
    user_id = UUID(principal.id)
    async with shared.db.transaction(Scope(user_id=user_id)) as tx:
        live = await sessions.live_sessions(tx, user_id)
    return [SessionOut.of(session, principal.session_id) for session in live]


async def end_session(
    shared: Resources, principal: Principal, key: RequestKey, session_id: UUID
) -> Made[Message]:
    """Ends one of the caller's sessions. Raises NotFound for anybody else's."""

    async def work(tx: Transaction) -> Made[Message]:
        if not await sessions.end_own(tx, UUID(principal.id), session_id):
            raise NotFound("You have no such session.")
        return Made.of(Message(message="Session ended"))

    made = await change(shared, principal, key, work, own_scope(principal))
    shared.edge.tokens.revoke(session_id)
    return made


async def end_other_sessions(
    shared: Resources, principal: Principal, key: RequestKey
) -> Made[Message]:
    """Ends all sessions of the caller but this one."""
    ended = list[UUID]()

    async def work(tx: Transaction) -> Made[Message]:
        kept = UUID(principal.session_id) if principal.session_id else None
        user_id = UUID(principal.id)
        ended.extend(await sessions.end_where(tx, user_id=user_id, except_id=kept))
        return Made.of(Message(message="All other sessions ended"))

    made = await change(shared, principal, key, work, own_scope(principal))
    for session_id in ended:
        shared.edge.tokens.revoke(session_id)
    return made


def _chosen(places: list[users.Membership], business_id: UUID | None) -> users.Membership | None:
    """The business to sign in to: what is asked for is never believed, only looked for."""
    if business_id is None:
        return places[0] if places else None
    found = next((place for place in places if place.tenant_id == business_id), None)
    if found is None:
        raise NotFound("You do not work for such a business.")
    return found


def _account(user: users.User, membership: users.Membership | None) -> Account:
    if user.role == Role.ADMIN:
        return Account(user, Role.ADMIN, None)
    if membership is None:
        return Account(user, Role.CUSTOMER, None)
    return Account(user, role_in_business(membership.role, user.role), membership.tenant_id)


def _resumed(
    user: users.User | None, places: list[users.Membership], session: sessions.Session | None
) -> Account | None:
    """The account that goes on with a session, as things stand now; None if none may: it has ended,
    the account is closed, or the user has left the business."""
    if session is None or user is None or user.disabled:
        return None
    if session.business_id is None:
        return _account(user, None)
    place = next((place for place in places if place.tenant_id == session.business_id), None)
    return None if place is None else _account(user, place)


def _issue(edge: Edge, account: Account, session_id: UUID, refresh_token: str) -> TokensOut:
    return TokensOut(
        token=edge.tokens.issue(account.user.id, account.role, account.tenant_id, session_id),
        refresh_token=refresh_token,
        expires_in=edge.tokens.ttl_seconds,
    )


def _new_refresh_token() -> str:
    return REFRESH_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def _sealed(refresh_token: str, successor: str) -> bytes:
    """The next token, as only whoever has this one reads it: both are random and of one length, and
    each seals one other, so that a one-time pad will do."""
    said = urlsafe_b64decode(successor.removeprefix(REFRESH_PREFIX) + "=")
    return bytes(a ^ b for a, b in zip(said, _pad(refresh_token), strict=True))


def _unsealed(refresh_token: str, sealed: bytes) -> str:
    said = bytes(a ^ b for a, b in zip(sealed, _pad(refresh_token), strict=True))
    return REFRESH_PREFIX + urlsafe_b64encode(said).decode().rstrip("=")


def _pad(refresh_token: str) -> bytes:
    return hmac.digest(refresh_token.encode(), b"successor", "sha256")


def _hash(refresh_token: str) -> bytes:
    return hashlib.sha256(refresh_token.encode()).digest()


def _refresh_expiry(shared: Resources) -> datetime:
    lifetime = timedelta(seconds=shared.edge.settings.refresh_token_ttl_seconds)
    return moments.of_ms(shared.clock.now_ms()) + lifetime
