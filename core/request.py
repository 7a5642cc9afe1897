"""What the gateway knows of one mutation, as the rooms below it need it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from core.ids import uuid7


@dataclass(frozen=True, slots=True)
class RequestKey:
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
    """The command id of `design.md`, section 5: the first 128 bits of a SHA-256."""
    parts = (tenant, principal, method, route, key)
    packed = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
    return UUID(bytes=hashlib.sha256(packed).digest()[:16])
