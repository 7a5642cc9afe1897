"""Codes of gift cards: what opens one, known to the holder of the card and to nobody else.

The database knows a digest. A code of 16 characters carries 80 random bits, so the digest cannot
be turned back by trying.
"""

from __future__ import annotations

import base64
import hashlib
from uuid import UUID

from gateway.edge import Edge
from gateway.keys import SigningKey

# Crockford's alphabet has no letters that look like digits.
_PLAIN, _CLEAR = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CLEARLY = bytes.maketrans(_PLAIN, _CLEAR)
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})
MIN_LENGTH, MAX_LENGTH = 12, 64
# Of a code that somebody else made, as printers of plastic cards do.
MIN_NEW_CHARACTERS, MIN_NEW_KINDS = 16, 4
_COUNTED = "01234567890123456789012345678901234567890123456789" + "98765432109876543210" * 4


def new_code(edge: Edge, command_id: UUID) -> str:
    """The code of the card that a command makes."""
    return _derived(edge.keys.signing, command_id)


def code_of(edge: Edge, command_id: UUID, tenant_id: UUID, made_id: UUID) -> str | None:
    """The code of the card that a command has made, so that a lost answer loses no card; whichever
    key signed then. None if that is none of ours any more, or the code was the client's own."""
    candidates = (_derived(key, command_id) for key in edge.keys.all)
    return next((code for code in candidates if card_id(tenant_id, code) == made_id), None)


def _derived(key: SigningKey, command_id: UUID) -> str:
    """The same at each repeat: an Ed25519 signature is deterministic and, without the key,
    random."""
    signature = key.private.sign(b"gift card\0" + command_id.bytes)
    text = base64.b32encode(hashlib.sha256(signature).digest()[:10]).translate(_CLEARLY).decode()
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))


def card_id(tenant_id: UUID, code: str) -> UUID:
    """The card's id: a digest of its business and its code, however it is typed."""
    digest = hashlib.sha256(b"gift card\0" + tenant_id.bytes + _read(code).encode())
    return UUID(bytes=digest.digest()[:16])


def weakness(code: str) -> str | None:
    """Why a code that is to open a new card could be guessed; None if it could not."""
    text = _read(code)
    if len(text) < MIN_NEW_CHARACTERS:
        return f"must have at least {MIN_NEW_CHARACTERS} letters and digits"
    if len(set(text)) < MIN_NEW_KINDS or text in _COUNTED:
        return "is too easy to guess"
    return None


def last_four(code: str) -> str:
    return _read(code)[-4:]


def _read(code: str) -> str:
    return code.upper().translate(_READ_AS)
