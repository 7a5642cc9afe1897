"""Access tokens: signed, short-lived, verified once and then remembered until they expire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

import jwt

from core.clock import Clock
from core.errors import Unauthenticated
from core.principal import Principal, Role
from core.settings import Settings
from gateway.keys import KeyRing

ISSUER = "holdfast"
AUDIENCE = "holdfast-api"
ALGORITHM = "EdDSA"
MAX_REMEMBERED = 10_000
MAX_REVOKED = 200_000
MAX_TOKEN_LENGTH = 4096
_CLAIMS = ["sub", "role", "sid", "iat", "exp", "iss", "aud"]


class _Verified(NamedTuple):
    principal: Principal
    proof_id: UUID
    expires_ms: int


class Tokens:
    """Issues and verifies tokens in one process, and knows which ones ended early.

    What `remember` holds may also be a service key or an API key: all are "a text that proves a
    principal until then, unless its session or key (`proof_id`) is revoked".
    """

    def __init__(self, settings: Settings, keys: KeyRing, clock: Clock) -> None:
        self.ttl_seconds = settings.access_token_ttl_seconds
        self._keys = keys
        self._clock = clock
        self._remembered: dict[str, _Verified] = {}
        self._revoked: dict[UUID, None] = {}

    def issue(self, user_id: UUID, role: Role, tenant_id: UUID | None, session_id: UUID) -> str:
        """A token for one session of a user. `business_id` is `tenant_id` by the name that
        people know it by."""
        now = self._clock.now_ms() // 1000
        tenant = str(tenant_id) if tenant_id else None
        claims = {
            "sub": str(user_id),
            "role": role.value,
            "tenant_id": tenant,
            "business_id": tenant,
            "sid": str(session_id),
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + self.ttl_seconds,
        }
        key = self._keys.signing
        return jwt.encode(claims, key.private, ALGORITHM, headers={"kid": key.id})

    def recall(self, token: str) -> Principal | None:
        """The principal that a token or key proves, if it was verified before and still holds; no
        I/O."""
        known = self._remembered.get(token)
        if known is None:
            return None
        if known.expires_ms <= self._clock.now_ms() or known.proof_id in self._revoked:
            del self._remembered[token]
            return None
        return known.principal

    def verify(self, token: str) -> Principal:
        """The principal that a token proves; remembers it. Raises Unauthenticated."""
        claims = self._decode(token)
        try:
            session_id = UUID(claims["sid"])
            tenant = claims.get("tenant_id")
            principal = Principal(
                id=str(UUID(claims["sub"])),
                role=Role(claims["role"]),
                tenant_id=UUID(tenant) if tenant else None,
                session_id=str(session_id),
            )
        except (ValueError, TypeError, AttributeError) as error:
            raise Unauthenticated("The token does not say who you are.") from error
        # A shorter lifetime, once set, also holds for tokens that were issued before: a revocation
        # is only remembered that long.
        expires_s = min(claims["exp"], claims["iat"] + self.ttl_seconds)
        if expires_s * 1000 <= self._clock.now_ms():
            raise Unauthenticated("The token has expired; refresh it.")
        if session_id in self._revoked:
            raise Unauthenticated("The session was ended; sign in again.")
        self.remember(token, principal, session_id, int(expires_s * 1000))
        return principal

    def remember(self, text: str, principal: Principal, proof_id: UUID, expires_ms: int) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.pop(next(iter(self._remembered)))
        self._remembered[text] = _Verified(principal, proof_id, expires_ms)

    def revoke(self, proof_id: UUID) -> None:
        """Ends a session or key in this process, at once."""
        if proof_id not in self._revoked and len(self._revoked) >= MAX_REVOKED:
            self._revoked.pop(next(iter(self._revoked)))
        self._revoked[proof_id] = None

    def is_revoked(self, proof_id: UUID) -> bool:
        return proof_id in self._revoked

    def _decode(self, token: str) -> Mapping[str, Any]:
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated("The token is too long.")
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = self._keys.public(key_id) if isinstance(key_id, str) else None
            if key is None:
                raise Unauthenticated("The token was signed by an unknown key.")
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # Expiry is checked here, by the clock that all else goes by.
                options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated("The token is not valid.") from error
