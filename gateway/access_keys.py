"""Keys: how a machine proves that it acts for one business, or a script as one person there.

A key reads `hfk_` (a service key) or `hfa_` (a person's API key) and 86 characters: the business,
the key's id and 32 random bytes, in base64url. It names its business so that its row is looked up
behind that tenant's wall.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest
from typing import NamedTuple
from uuid import UUID

from core import moments
from core.clock import Clock
from core.errors import Unauthenticated
from core.principal import Principal, Role, role_in_business
from gateway.tokens import Tokens
from store.kit.engine import Database, Scope, Transaction
from store.people import access_keys as rows
from store.people import members

SERVICE_PREFIX = "hfk_"
API_PREFIX = "hfa_"
PREFIXES = (SERVICE_PREFIX, API_PREFIX)
# How long a key is believed before the database is asked again; a revocation arrives much sooner.
REMEMBERED_MS = 300_000
_PREFIX_LENGTH = 4
_LENGTH = _PREFIX_LENGTH + 86


class KeyText(NamedTuple):
    tenant_id: UUID
    key_id: UUID
    text: str

    @property
    def hash(self) -> bytes:
        """SHA-256 is enough: 32 random bytes cannot be guessed, however fast the hash is. The
        prefix is hashed, too, so that a key of one kind is never taken for one of the other."""
        return hashlib.sha256(self.text.encode()).digest()


def mint(prefix: str, tenant_id: UUID, key_id: UUID) -> KeyText:
    raw = tenant_id.bytes + key_id.bytes + secrets.token_bytes(32)
    return KeyText(tenant_id, key_id, prefix + urlsafe_b64encode(raw).rstrip(b"=").decode())


def parse(text: str) -> KeyText | None:
    """None for what cannot be a key. Each key has exactly one text."""
    if len(text) != _LENGTH or not text.startswith(PREFIXES):
        return None
    try:
        raw = urlsafe_b64decode(text[_PREFIX_LENGTH:] + "==")
    except ValueError:
        return None
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != text[_PREFIX_LENGTH:]:
        return None
    return KeyText(UUID(bytes=raw[:16]), UUID(bytes=raw[16:32]), text)


class AccessKeys:
    """Looks keys up in the database: a key once, however many requests bring it at the same
    time."""

    def __init__(self, db: Database, tokens: Tokens, clock: Clock) -> None:
        self._db = db
        self._tokens = tokens
        self._clock = clock
        self._pending: dict[str, asyncio.Task[Principal]] = {}

    async def verify(self, text: str) -> Principal:
        """The principal that a key proves; remembers it. Raises Unauthenticated, or Unavailable
        when the database cannot be asked."""
        task = self._pending.get(text)
        if task is None:
            key = parse(text)
            if key is None:
                raise Unauthenticated("The key is not valid.")
            task = asyncio.create_task(self._look_up(key))
            self._pending[text] = task
            task.add_done_callback(lambda done: self._looked_up(text, done))
        # A caller that hangs up must not take the answer from others that wait for the same key.
        return await asyncio.shield(task)

    def _looked_up(self, text: str, task: asyncio.Task[Principal]) -> None:
        del self._pending[text]
        if not task.cancelled():
            task.exception()  # Retrieved, even if all that waited have hung up.

    async def _look_up(self, key: KeyText) -> Principal:
        async with self._db.transaction(Scope(tenant_id=key.tenant_id)) as tx:
            row = await rows.get(tx, key.key_id)
            if row is None or not compare_digest(row.hash, key.hash):
                raise Unauthenticated("The key is not valid.")
            now_ms = self._clock.now_ms()
            expires_ms = now_ms + REMEMBERED_MS
            if row.expires_at is not None:
                expires_ms = min(expires_ms, moments.to_ms(row.expires_at))
            if row.revoked_at is not None or self._tokens.is_revoked(row.id):
                raise Unauthenticated("The key was revoked.")
            if expires_ms <= now_ms:
                raise Unauthenticated("The key has expired.")
            role = await _role(tx, row.user_id)
            await rows.touch(tx, row.id)
        principal = Principal(
            id=str(row.user_id or row.id),
            role=role,
            tenant_id=row.tenant_id,
            session_id=str(row.id),
            scopes=frozenset(row.scopes),
            rate_limit_per_second=row.rate_limit_per_second,
        )
        self._tokens.remember(key.text, principal, row.id, expires_ms)
        return principal


async def _role(tx: Transaction, user_id: UUID | None) -> Role:
    """The role in which a key acts: the one that its person has now. Taking a role away ends the
    keys, too, so this is a second check of the same thing. Raises Unauthenticated."""
    if user_id is None:
        return Role.SERVICE
    standing = await members.standing(tx, user_id)
    if standing is None:
        raise Unauthenticated("The key's owner does not work here any more.")
    return role_in_business(*standing)
