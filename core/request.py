"""What the gateway knows of one mutation, as the rooms below it need it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from uuid import UUID, uuid5

import msgspec
from msgspec.structs import replace

from core.ids import id_of, uuid7


class RequestKey(msgspec.Struct, frozen=True):
    """Identity, fingerprint and time limits of one mutation.

    `command_id` = hash(tenant, principal, method, route, key); the same key of the same caller
    on the same route is the same command, however often it arrives. `fingerprint` tells the
    same body from another. `client_supplied` is False where the gateway made the key, so that
    a first attempt needs no look-up. `arrived_ms` and `deadline_ms` are wall time, calibrated
    with the database.
    """

    command_id: UUID
    fingerprint: bytes
    client_supplied: bool
    arrived_ms: int
    deadline_ms: int

    def step(self, name: str) -> RequestKey:
        """The key of a further command that the same request causes: the same at each repeat."""
        return replace(self, command_id=uuid5(self.command_id, name), client_supplied=True)

    def anew(self) -> RequestKey:
        """The key of a further command that is decided again at each repeat of the request."""
        return replace(self, command_id=uuid7(), client_supplied=False)


def command_id(tenant: str, principal: str, method: str, route: str, key: str) -> UUID:
    """The first 128 bits of a SHA-256 over who asks and for what; see docs/architecture.md."""
    packed = _packed(tenant, principal, method, route) + _packed_part(key)
    return id_of(hashlib.sha256(packed).digest()[:16])


@lru_cache(maxsize=4096)
def _packed(*parts: str) -> bytes:
    """Of a caller and a route, which come again with every request of theirs."""
    return b"".join(map(_packed_part, parts))


def _packed_part(part: str) -> bytes:
    encoded = part.encode()
    return len(encoded).to_bytes(4) + encoded
