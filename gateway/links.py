"""Tokens of links that are mailed: to accept an invitation, to set a new password, to prove an
address.

Such a token must be neither in the database nor in an event, and the replica that sends the mail
later must still be able to make it. So it is an HMAC over the row's id and nonce, with a key
derived from the keys that sign access tokens: without the row there is no nonce, without the key no
HMAC. A new nonce ends the old link. While signing keys are rotated, links made with any trusted one
hold.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Literal, NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.settings import Settings
from gateway.keys import KeyRing, SigningKey

Kind = Literal["invitation", "password-reset", "email-verification"]

NONCE_BYTES = 16
_PREFIXES: dict[Kind, str] = {
    "invitation": "hfi_",
    "password-reset": "hfp_",
    "email-verification": "hfv_",
}
_RAW_BYTES = 16 + 16 + 32


class LinkText(NamedTuple):
    """A token that is well-formed. `scope_id` is the owner of the row: the business of an
    invitation, or else the user. Nothing is proved before `Links.holds` says so."""

    scope_id: UUID
    id: UUID
    proof: bytes


class Links:
    def __init__(self, settings: Settings, keys: KeyRing) -> None:
        self._base_url = settings.effective_web_url
        self._keys = keys
        self._derived: dict[str, bytes] = {}

    def token(self, kind: Kind, scope_id: UUID, row_id: UUID, nonce: bytes) -> str:
        """The token of a row: the same whenever it is asked for, until the nonce changes."""
        proof = self._proof(self._keys.signing, kind, scope_id, row_id, nonce)
        raw = scope_id.bytes + row_id.bytes + proof
        return _PREFIXES[kind] + urlsafe_b64encode(raw).rstrip(b"=").decode()

    def url(self, kind: Kind, token: str) -> str:
        """The page on which the token is used. The token is behind the `#`, which browsers send to
        no server."""
        return f"{self._base_url}/{kind}#{token}"

    def holds(self, kind: Kind, text: LinkText, nonce: bytes) -> bool:
        """Whether a token was made over a row with this nonce."""
        return any(
            hmac.compare_digest(text.proof, self._proof(key, kind, text.scope_id, text.id, nonce))
            for key in self._keys.all
        )

    def _proof(
        self, key: SigningKey, kind: Kind, scope_id: UUID, row_id: UUID, nonce: bytes
    ) -> bytes:
        secret = self._derived.get(key.id)
        if secret is None:
            derivation = HKDF(SHA256(), 32, salt=None, info=b"holdfast mailed links, version 1")
            secret = self._derived[key.id] = derivation.derive(key.private.private_bytes_raw())
        message = kind.encode() + b"\0" + scope_id.bytes + row_id.bytes + nonce
        return hmac.digest(secret, message, "sha256")


def parse(kind: Kind, token: str) -> LinkText | None:
    """None for what cannot be a token of that kind."""
    prefix = _PREFIXES[kind]
    text = token.removeprefix(prefix)
    if text == token or len(text) != 86:
        return None
    try:
        raw = urlsafe_b64decode(text + "==")
    except ValueError:
        return None
    if len(raw) != _RAW_BYTES or urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        return None
    return LinkText(UUID(bytes=raw[:16]), UUID(bytes=raw[16:32]), raw[32:])
