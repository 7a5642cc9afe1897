"""Signing up, in and out; sessions."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from core import moments
from core.clock import Clock
from core.errors import Conflict, FieldError, InvalidCredentials, NotFound, Unauthenticated
from core.ids import uuid7
from core.money import exponent
from core.principal import Principal, Role, role_in_business
from core.request import RequestKey
from deployments.auth.people import addresses
from deployments.business.events import ProfileCreated
from gateway.address import network_of
from gateway.answers import recorded
from gateway.edge import Edge
from gateway.schemas import Message
from gateway.throttle import (
    LOGIN_PER_ACCOUNT,
    LOGIN_PER_ADDRESS,
    REFRESH_PER_ADDRESS,
    REGISTER_PER_ADDRESS,
    REGISTER_PER_NETWORK,
    TAKEN_PER_ADDRESS,
    TAKEN_PER_NETWORK,
)
from store.kit.commands import Recorded, once
from store.kit.engine import Database, Scope
from store.kit.outbox import emit
from store.people import sessions, users

REFRESH_PREFIX = "hfr_"
DEFAULT_CURRENCY = "USD"


class EmailTaken(Conflict):
    code, title = "email_taken", "E-mail address taken"
    default_detail = "There is an account with this e-mail address."

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("email", "is registered already")])


@dataclass(frozen=True, slots=True)
class Account:
    """A person, and in which role and for which business they act."""

    user: users.User
    role: Role
    tenant_id: UUID | None


@dataclass(frozen=True, slots=True)
class Issued:
    account: Account
    token: str
    refresh_token: str
    expires_in_seconds: int


async def register(
    db: Database,
    edge: Edge,
    clock: Clock,
    address: str,
    *,
    name: str,
    email: str,
    password: str,
    vendor: bool,
    business_name: str | None,
    currency: str | None,
) -> Account:
    """A new customer, or a vendor with a business of their own; a mail asks them to prove their
    address. That one is taken has to be said, but not to who asks again and again. Raises
    EmailTaken, ValidationFailed for a currency that is none, TooManyRequests or Unavailable."""
    if currency is not None:
        exponent(currency)
    network = network_of(address)
    await edge.throttle.attempt(REGISTER_PER_ADDRESS, address)
    await edge.throttle.attempt(REGISTER_PER_NETWORK, network)
    async with (
        edge.throttle.guesses(TAKEN_PER_ADDRESS, address, wrong=EmailTaken),
        edge.throttle.guesses(TAKEN_PER_NETWORK, network, wrong=EmailTaken),
    ):
        password_hash = await edge.passwords.hash(password)
        role = Role.VENDOR if vendor else Role.CUSTOMER
        user = users.User(uuid7(), name, email, password_hash, role.value, disabled=False)
        tenant_id = uuid7() if vendor else None
        # What is a person's alone goes by the user's id where a business's would stand.
        place = tenant_id or user.id
        async with db.transaction(Scope(tenant_id=place, user_id=user.id)) as tx:
            if not await users.add_user(tx, user):
                raise EmailTaken
            if tenant_id is not None:
                await users.add_business(
                    tx, tenant_id, business_name or name, currency or DEFAULT_CURRENCY, user.id
                )
                await emit(tx, tenant_id, tenant_id, ProfileCreated(id=tenant_id))
            await addresses.ask(tx, clock, place, user.id)
    return Account(user, role, tenant_id)


async def create_admin(
    db: Database, edge: Edge, *, name: str, email: str, password: str
) -> users.User:
    """A platform administrator, for the command line only. Raises EmailTaken."""
    password_hash = await edge.passwords.hash(password)
    user = users.User(uuid7(), name, email, password_hash, Role.ADMIN.value, disabled=False)
    async with db.transaction(Scope(user_id=user.id)) as tx:
        if not await users.add_user(tx, user):
            raise EmailTaken
    return user


async def login(
    db: Database,
    edge: Edge,
    clock: Clock,
    address: str,
    *,
    email: str,
    password: str,
    user_agent: str,
    business_id: UUID | None = None,
) -> Issued:
    """A new session, in the business `business_id` or else the one joined first. Raises
    InvalidCredentials, the same and after the same time whether the account, the password or the
    permission is what lacks; NotFound for a business that the user does not work for;
    TooManyRequests; Unavailable."""
    await edge.throttle.attempt(LOGIN_PER_ADDRESS, address)
    await edge.throttle.attempt(LOGIN_PER_ACCOUNT, email, address)
    async with db.transaction(Scope()) as tx:
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
    expires_at = _refresh_expiry(edge, clock)
    async with db.transaction(Scope(user_id=user.id)) as tx:
        # Who changes the password or closes the account meanwhile ends this session too.
        if not await users.hold_still(tx, user):
            raise InvalidCredentials
        if better_hash is not None:
            await users.set_password_hash(tx, user.id, better_hash)
        places = await users.memberships_of(tx, user.id)
        account = _account(user, _chosen(places, business_id))
        await sessions.open_session(
            tx,
            session_id=session_id,
            user_id=user.id,
            business_id=account.tenant_id,
            user_agent=user_agent,
            expires_at=expires_at,
        )
        await sessions.add_refresh_token(tx, _hash(refresh_token), session_id, expires_at)
    return _issue(edge, account, session_id, refresh_token)


async def refresh(
    db: Database, edge: Edge, clock: Clock, address: str, refresh_token: str
) -> Issued:
    """New tokens for a session; the old refresh token is used up. One that was used before was
    stolen, then or now: its session ends. Raises Unauthenticated; TooManyRequests."""
    await edge.throttle.attempt(REFRESH_PER_ADDRESS, address)
    if not refresh_token.startswith(REFRESH_PREFIX):
        raise Unauthenticated("The refresh token is not valid.")
    token_hash = _hash(refresh_token)
    replacement = _new_refresh_token()
    expires_at = _refresh_expiry(edge, clock)
    async with db.transaction(Scope()) as tx:
        user_id = await sessions.owner_of(tx, token_hash)
    if user_id is None:
        raise Unauthenticated("The refresh token is not valid.")
    async with db.transaction(Scope(user_id=user_id)) as tx:
        used = await sessions.use_refresh_token(tx, token_hash)
        user = await users.user_by_id(tx, user_id)
        places = await users.memberships_of(tx, user_id)
        account = _resumed(user, places, used.session)
        if used.session is not None and account is not None:
            await sessions.add_refresh_token(tx, _hash(replacement), used.session.id, expires_at)
    # Raised only now: that the token was used, or its session revoked, is committed.
    if used.revoked is not None:
        edge.tokens.revoke(used.revoked)
        raise Unauthenticated("The refresh token was used before; sign in again.")
    if used.session is None or account is None:
        raise Unauthenticated("The refresh token is not valid any more; sign in again.")
    return _issue(edge, account, used.session.id, replacement)


async def logout(db: Database, edge: Edge, principal: Principal) -> None:
    """Ends the caller's session: here at once, on other replicas within seconds."""
    if principal.session_id is None:
        raise Unauthenticated
    session_id = UUID(principal.session_id)
    async with db.transaction(Scope(user_id=UUID(principal.id))) as tx:
        await sessions.revoke_sessions(tx, [session_id])
    edge.tokens.revoke(session_id)


async def own_sessions(db: Database, principal: Principal) -> list[sessions.Live]:
    """The caller's sessions that have not ended, the one refreshed last first."""
    async with db.transaction(Scope(user_id=UUID(principal.id))) as tx:
        return await sessions.live_sessions(tx, UUID(principal.id))


async def end_session(
    db: Database, edge: Edge, principal: Principal, key: RequestKey, session_id: UUID
) -> Recorded:
    """Ends one of the caller's sessions. Raises NotFound for anybody else's."""
    user_id = UUID(principal.id)

    async def work() -> Recorded:
        if not await sessions.end_own(tx, user_id, session_id):
            raise NotFound("You have no such session.")
        return recorded(200, Message(message="Session ended"))

    async with db.transaction(Scope(tenant_id=user_id, user_id=user_id)) as tx:
        answer = await once(tx, user_id, key, work)
    edge.tokens.revoke(session_id)
    return answer


async def end_other_sessions(
    db: Database, edge: Edge, principal: Principal, key: RequestKey
) -> Recorded:
    """Ends all sessions of the caller but this one."""
    user_id, ended = UUID(principal.id), list[UUID]()

    async def work() -> Recorded:
        kept = UUID(principal.session_id) if principal.session_id else None
        ended.extend(await sessions.end_where(tx, user_id=user_id, except_id=kept))
        return recorded(200, Message(message="All other sessions ended"))

    async with db.transaction(Scope(tenant_id=user_id, user_id=user_id)) as tx:
        answer = await once(tx, user_id, key, work)
    for session_id in ended:
        edge.tokens.revoke(session_id)
    return answer


async def person(db: Database, principal: Principal) -> users.User:
    """The user behind a principal. Raises Unauthenticated if the account is gone."""
    async with db.transaction(Scope(user_id=UUID(principal.id))) as tx:
        user = await users.user_by_id(tx, UUID(principal.id))
    if user is None or user.disabled:
        raise Unauthenticated("The account is closed.")
    return user


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
    """Who goes on with a session, as things stand now; None if nobody may: it has ended, the
    account is closed, or the user has left the business."""
    if session is None or user is None or user.disabled:
        return None
    if session.business_id is None:
        return _account(user, None)
    place = next((p for p in places if p.tenant_id == session.business_id), None)
    return None if place is None else _account(user, place)


def _issue(edge: Edge, account: Account, session_id: UUID, refresh_token: str) -> Issued:
    token = edge.tokens.issue(account.user.id, account.role, account.tenant_id, session_id)
    return Issued(account, token, refresh_token, edge.tokens.ttl_seconds)


def _new_refresh_token() -> str:
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def _hash(refresh_token: str) -> bytes:
    return hashlib.sha256(refresh_token.encode()).digest()


def _refresh_expiry(edge: Edge, clock: Clock) -> datetime:
    lifetime = timedelta(seconds=edge.settings.refresh_token_ttl_seconds)
    return moments.of_ms(clock.now_ms()) + lifetime
