"""Signing up, in and out; the keys that machines use."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import BaseModel

from core.clock import Clock
from core.errors import (
    Conflict,
    FieldError,
    Forbidden,
    InvalidCredentials,
    NotFound,
    Unauthenticated,
    ValidationFailed,
)
from core.ids import uuid7
from core.money import exponent
from core.principal import Principal, Role
from core.request import RequestKey
from deployments.auth.schemas import NewServiceKeyOut, ServiceKeyOut
from gateway import service_keys as key_texts
from gateway.edge import Edge
from gateway.schemas import Envelope
from gateway.throttle import (
    LOGIN_PER_ACCOUNT,
    LOGIN_PER_ADDRESS,
    REFRESH_PER_ADDRESS,
    REGISTER_PER_ADDRESS,
)
from store import auth, service_keys, sessions
from store.commands import Recorded, once
from store.engine import Database, Scope

REFRESH_PREFIX = "hfr_"
DEFAULT_CURRENCY = "USD"


class EmailTaken(Conflict):
    code, title = "email_taken", "E-mail address taken"
    default_detail = "There is an account with this e-mail address."

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("email", "is registered already")])


class TooManyKeys(Conflict):
    code, title = "too_many_service_keys", "Too many service keys"
    default_detail = f"A business has at most {service_keys.MOST_SERVICE_KEYS} live service keys."


@dataclass(frozen=True, slots=True)
class Account:
    """A person, and in which role and for which business they act."""

    user: auth.User
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
    address: str,
    *,
    name: str,
    email: str,
    password: str,
    vendor: bool,
    business_name: str | None,
    currency: str | None,
) -> Account:
    """A new customer, or a vendor with a business of their own. Raises EmailTaken,
    ValidationFailed for a currency that is none, TooManyRequests or Unavailable."""
    if currency is not None:
        exponent(currency)
    await edge.throttle.attempt(REGISTER_PER_ADDRESS, address)
    password_hash = await edge.passwords.hash(password)
    role = Role.VENDOR if vendor else Role.CUSTOMER
    user = auth.User(uuid7(), name, email, password_hash, role.value, disabled=False)
    tenant_id = uuid7() if vendor else None
    async with db.transaction(Scope(tenant_id=tenant_id, user_id=user.id)) as tx:
        if not await auth.add_user(tx, user):
            raise EmailTaken
        if tenant_id is not None:
            await auth.add_business(
                tx, tenant_id, business_name or name, currency or DEFAULT_CURRENCY, user.id
            )
    return Account(user, role, tenant_id)


async def create_admin(
    db: Database, edge: Edge, *, name: str, email: str, password: str
) -> auth.User:
    """A platform administrator, for the command line only. Raises EmailTaken."""
    password_hash = await edge.passwords.hash(password)
    user = auth.User(uuid7(), name, email, password_hash, Role.ADMIN.value, disabled=False)
    async with db.transaction(Scope(user_id=user.id)) as tx:
        if not await auth.add_user(tx, user):
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
) -> Issued:
    """A new session. Raises InvalidCredentials, the same and after the same time whether the
    account, the password or the permission is what lacks; TooManyRequests; Unavailable."""
    await edge.throttle.attempt(LOGIN_PER_ADDRESS, address)
    await edge.throttle.attempt(LOGIN_PER_ACCOUNT, email, address)
    async with db.transaction(Scope()) as tx:
        user = await auth.user_by_email(tx, email)
    right = await edge.passwords.matches(password, user.password_hash if user else None)
    if user is None or not right or user.disabled:
        raise InvalidCredentials
    await edge.throttle.forgive(LOGIN_PER_ACCOUNT, email, address)
    better_hash = None
    if edge.passwords.is_outdated(user.password_hash):
        better_hash = await edge.passwords.hash(password)
    session_id = uuid7()
    refresh_token = _new_refresh_token()
    expires_at = _refresh_expiry(edge, clock)
    async with db.transaction(Scope(user_id=user.id)) as tx:
        if better_hash is not None:
            await auth.set_password_hash(tx, user.id, better_hash)
        places = await auth.memberships_of(tx, user.id)
        account = _account(user, places[0] if places else None)
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
        user = await auth.user_by_id(tx, user_id)
        places = await auth.memberships_of(tx, user_id)
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


async def person(db: Database, principal: Principal) -> auth.User:
    """The user behind a principal. Raises Unauthenticated if the account is gone."""
    async with db.transaction(Scope(user_id=UUID(principal.id))) as tx:
        user = await auth.user_by_id(tx, UUID(principal.id))
    if user is None or user.disabled:
        raise Unauthenticated("The account is closed.")
    return user


async def key_of_caller(db: Database, principal: Principal) -> service_keys.ServiceKey:
    """The service key behind a principal. Raises Unauthenticated if it is gone."""
    async with db.transaction(Scope(tenant_id=principal.tenant_id)) as tx:
        key = await service_keys.service_key(tx, UUID(principal.id))
    if key is None:
        raise Unauthenticated("The service key is gone.")
    return key


async def create_service_key(
    db: Database,
    clock: Clock,
    principal: Principal,
    key: RequestKey,
    *,
    name: str,
    scopes: list[str],
    expires_at: datetime | None,
) -> Recorded:
    """A new key of the caller's business, with its secret. The command log keeps the answer
    without it, so a repeat shows the key but not the secret. Raises TooManyKeys,
    ValidationFailed, IdempotencyMismatch."""
    if expires_at is not None and expires_at.timestamp() * 1000 <= clock.now_ms():
        raise ValidationFailed([FieldError("expiresAt", "must be in the future")])
    tenant_id = tenant_of(principal)
    text = key_texts.mint(tenant_id, uuid7())
    made: service_keys.ServiceKey | None = None

    async def work() -> Recorded:
        nonlocal made
        made = await service_keys.add_service_key(
            tx,
            key_id=text.key_id,
            tenant_id=tenant_id,
            name=name,
            key_hash=text.hash,
            scopes=scopes,
            created_by=UUID(principal.id),
            expires_at=expires_at,
        )
        if made is None:
            raise TooManyKeys
        return _recorded(
            201, Envelope(data=NewServiceKeyOut(key=ServiceKeyOut.of(made), secret=None))
        )

    async with db.transaction(Scope(tenant_id=tenant_id)) as tx:
        recorded = await once(tx, tenant_id, key, work)
    if made is None:
        return recorded
    return _recorded(
        201, Envelope(data=NewServiceKeyOut(key=ServiceKeyOut.of(made), secret=text.text))
    )


async def list_service_keys(
    db: Database, principal: Principal, *, page: int, limit: int
) -> tuple[list[service_keys.ServiceKey], int]:
    """One page of the keys of the caller's business, and how many there are."""
    async with db.transaction(Scope(tenant_id=tenant_of(principal))) as tx:
        return await service_keys.list_service_keys(tx, page=page, limit=limit)


async def revoke_service_key(
    db: Database, edge: Edge, principal: Principal, key: RequestKey, key_id: UUID
) -> Recorded:
    """Ends a key: here at once, on other replicas within seconds. Raises NotFound,
    IdempotencyMismatch."""
    tenant_id = tenant_of(principal)

    async def work() -> Recorded:
        revoked = await service_keys.revoke_service_key(tx, key_id)
        if revoked is None:
            raise NotFound
        return _recorded(200, Envelope(data=ServiceKeyOut.of(revoked)))

    async with db.transaction(Scope(tenant_id=tenant_id)) as tx:
        recorded = await once(tx, tenant_id, key, work)
    edge.tokens.revoke(key_id)
    return recorded


def tenant_of(principal: Principal) -> UUID:
    """The business that the caller acts for. Raises Forbidden where there is none."""
    if principal.tenant_id is None:
        raise Forbidden("You do not act for a business.")
    return principal.tenant_id


def _recorded(status: int, answer: BaseModel) -> Recorded:
    return Recorded(status, answer.model_dump_json(by_alias=True).encode())


def _account(user: auth.User, membership: auth.Membership | None) -> Account:
    if user.role == Role.ADMIN:
        return Account(user, Role.ADMIN, None)
    if membership is None:
        return Account(user, Role.CUSTOMER, None)
    # The marketplace calls the owner of a business a vendor.
    is_vendor = membership.role == Role.OWNER and user.role == Role.VENDOR
    role = Role.VENDOR if is_vendor else Role(membership.role)
    return Account(user, role, membership.tenant_id)


def _resumed(
    user: auth.User | None, places: list[auth.Membership], session: sessions.Session | None
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
    return datetime.fromtimestamp(clock.now_ms() / 1000, UTC) + lifetime
