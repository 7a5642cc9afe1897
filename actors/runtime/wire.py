"""What travels between replicas and hosts: msgpack of small structs.

Fields are added at the end with a default, never removed or moved: the build before must be
able to read what this one sends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache
from uuid import UUID

import msgspec

MAX_RECEIPTS = 20


class Outcome(IntEnum):
    """How a command ended on a host."""

    DONE = 0  # decided: yes or a refusal; the reply says which
    ASK_AGAIN = 1  # not here, not now, or unknown: repeat with the same id
    BUSY = 2  # refused: the mailbox is full, or what it needs is not to be had now
    TOO_LATE = 3  # refused unseen: its deadline has passed
    MISMATCH = 4  # the id was used with another body
    REJECTED = 5  # the database refuses the data of this very command
    BROKEN = 6  # our own rule failed on this very command; nothing was written


class Receipt(msgspec.Struct, array_like=True, frozen=True):
    """Proof of order: the aggregate's sequence after this command, under the owner's epoch."""

    aggregate: str
    sequence: int
    epoch: int


class Envelope(msgspec.Struct, array_like=True, frozen=True):
    """One command or read, addressed. `body` is the family's own encoding."""

    family: str
    shard: int
    tenant_id: UUID
    command_id: UUID
    fingerprint: bytes
    principal: str
    arrived_ms: int
    deadline_ms: int
    read: bool
    look_up: bool
    body: bytes
    # Of the tenure that it is sent to. A copy that arrives later, in another, is not decided
    # there: its sender has long had another answer. 0: whatever tenure it is.
    epoch: int = 0


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """What became of an envelope."""

    outcome: Outcome
    reply: bytes = b""
    receipts: tuple[Receipt, ...] = ()


class PartialAnswers(msgspec.Struct, array_like=True, frozen=True):
    """Some answers of a call, each with the place of its envelope. `more`: under which number the
    others can be asked for; 0 when there are none."""

    more: int
    answers: list[tuple[int, Answer]]


def deliver_all(part: PartialAnswers, deliver: Callable[[int, Answer], None]) -> None:
    """Calls `deliver` with each answer and the place of its envelope."""
    for place, answer in part.answers:
        deliver(place, answer)


ASK_AGAIN = Answer(Outcome.ASK_AGAIN)
BUSY = Answer(Outcome.BUSY)


class LoggedReply(msgspec.Struct, array_like=True, frozen=True):
    """What the command log keeps of an answer."""

    reply: bytes
    receipts: tuple[Receipt, ...]


_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_envelopes = msgspec.msgpack.Decoder(list[Envelope])
_answers = msgspec.msgpack.Decoder(list[tuple[int, Answer]])
_partial_answers = msgspec.msgpack.Decoder(PartialAnswers)
_logged = msgspec.msgpack.Decoder(LoggedReply)

encode = _encoder.encode
decode_envelopes = _envelopes.decode
decode_answers = _answers.decode
decode_partial_answers = _partial_answers.decode
decode_logged = _logged.decode


@lru_cache(maxsize=65_536)
def shard_of(tenant_id: UUID, shards: int) -> int:
    """The shard of a tenant, the same in every build, permanently."""
    return int.from_bytes(hashlib.sha256(tenant_id.bytes).digest()[:8]) % shards
