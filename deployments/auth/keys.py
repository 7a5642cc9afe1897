"""The keys that machines use: made, listed, rotated, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from core.clock import Clock
from core.errors import Conflict, FieldError, NotFound, Unauthenticated, ValidationFailed
from core.ids import uuid7
from core.principal import Principal
from core.request import RequestKey
from deployments.auth.schemas import NewServiceKeyOut, ServiceKeyOut
from gateway import service_keys as key_texts
from gateway.access import tenant_of
from gateway.answers import recorded
from gateway.edge import Edge
from gateway.schemas import Envelope
from store import audit, service_keys
from store.commands import Recorded, once
from store.engine import Database, Scope, Transaction


class TooManyKeys(Conflict):
    code, title = "too_many_service_keys", "Too many service keys"
    default_detail = f"A business has at most {service_keys.MOST_SERVICE_KEYS} live service keys."


class KeyEnded(Conflict):
    code, title = "service_key_ended", "Service key ended"
    default_detail = "The key has been revoked or has expired; create a new one."


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
    rate_limit_per_second: int | None,
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
            rate_limit_per_second=rate_limit_per_second,
        )
        if made is None:
            raise TooManyKeys
        await _note(tx, principal, "service_key.created", made)
        return recorded(
            201, Envelope(data=NewServiceKeyOut(key=ServiceKeyOut.of(made), secret=None))
        )

    async with db.transaction(Scope(tenant_id=tenant_id)) as tx:
        answer = await once(tx, tenant_id, key, work)
    if made is None:
        return answer
    return recorded(
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
        await _note(tx, principal, "service_key.revoked", revoked)
        return recorded(200, Envelope(data=ServiceKeyOut.of(revoked)))

    async with db.transaction(Scope(tenant_id=tenant_id)) as tx:
        answer = await once(tx, tenant_id, key, work)
    edge.tokens.revoke(key_id)
    return answer


async def rotate_service_key(
    db: Database,
    edge: Edge,
    clock: Clock,
    principal: Principal,
    key: RequestKey,
    key_id: UUID,
    grace_seconds: int,
) -> Recorded:
    """A new key in the place of an old one, which ends after the grace: at once if there is none,
    else to within the minutes for which replicas remember a key. Raises NotFound, KeyEnded,
    TooManyKeys, IdempotencyMismatch."""
    tenant_id = tenant_of(principal)
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    text = key_texts.mint(tenant_id, uuid7())
    made: service_keys.ServiceKey | None = None

    async def work() -> Recorded:
        nonlocal made
        old = await service_keys.lock_service_key(tx, key_id)
        if old is None:
            raise NotFound
        if old.revoked_at is not None or (old.expires_at and old.expires_at <= now):
            raise KeyEnded
        if grace_seconds:
            end = now + timedelta(seconds=grace_seconds)
            await service_keys.expire_service_key(tx, key_id, end)
        else:
            await service_keys.revoke_service_key(tx, key_id)
        made = await service_keys.add_service_key(
            tx,
            key_id=text.key_id,
            tenant_id=tenant_id,
            name=old.name,
            key_hash=text.hash,
            scopes=old.scopes,
            created_by=UUID(principal.id),
            expires_at=old.expires_at,
            rate_limit_per_second=old.rate_limit_per_second,
        )
        if made is None:
            raise TooManyKeys
        await _note(tx, principal, "service_key.rotated", made, replaces=key_id)
        return recorded(
            201, Envelope(data=NewServiceKeyOut(key=ServiceKeyOut.of(made), secret=None))
        )

    async with db.transaction(Scope(tenant_id=tenant_id)) as tx:
        answer = await once(tx, tenant_id, key, work)
    if not grace_seconds:
        edge.tokens.revoke(key_id)
    if made is None:
        return answer
    return recorded(
        201, Envelope(data=NewServiceKeyOut(key=ServiceKeyOut.of(made), secret=text.text))
    )


async def _note(
    tx: Transaction,
    principal: Principal,
    action: str,
    key: service_keys.ServiceKey,
    replaces: UUID | None = None,
) -> None:
    """What may be known of a key: neither its text nor its hash."""
    names = ("name", "scopes", "expires_at", "rate_limit_per_second")
    changes: dict[str, tuple[Any, Any]] = {}
    if action != "service_key.revoked":
        changes = {name: (None, getattr(key, name)) for name in names}
    if replaces is not None:
        changes["id"] = (replaces, key.id)
    await audit.record(tx, key.tenant_id, principal, action, key.id, changes)
