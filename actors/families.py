"""The families of this build: their pure rules joined with their tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actors.runtime.family import Change, Context, Decision, Families, Family, Key, Timer, View
from actors.stock import decide as stock
from actors.stock import model
from actors.stock.project import StockRows, project, timers
from store.inventory import StockLoader

COMMERCE = "commerce"

_encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode
_commands: msgspec.msgpack.Decoder[model.AnyCommand] = msgspec.msgpack.Decoder(model.AnyCommand)
_replies: msgspec.msgpack.Decoder[model.AnyReply] = msgspec.msgpack.Decoder(model.AnyReply)


class CommerceRules:
    """Adapts the pure modules of commerce to what the runtime asks."""

    def decode(self, body: bytes) -> model.AnyCommand:
        return _commands.decode(body)

    def encode(self, reply: model.AnyReply) -> bytes:
        return _encode(reply)

    def label(self, command: model.AnyCommand) -> str:
        return type(command).__name__

    def keys(self, command: model.AnyCommand, context: Context, view: View) -> Iterable[Key]:
        return stock.keys(command, context, view)

    def decide(self, view: View, command: model.AnyCommand, context: Context) -> Decision:
        return stock.decide(view, command, context)

    def evolve(self, state: Any, event: Any) -> Any:
        return stock.evolve(state, event)

    def sequence(self, state: Any) -> int:
        return int(state.sequence)

    def project(self, changes: Sequence[Change]) -> StockRows:
        return project(changes)

    def timers(self, change: Change) -> Iterable[Timer]:
        return timers(change)

    def due(self, row: Any) -> Timer:
        expires_at_ms, tenant_id, reservation_id = row
        due_ms = expires_at_ms + model.GRACE_MS
        return Timer(due_ms, tenant_id, model.Expire(reservation_id))

    def restore(self, key: Key, row: Any) -> Any:
        if key.kind == model.STOCK:
            return model.Stock(*row)
        if key.kind == model.OPEN_HOLDS:
            return row
        products, quantities, status, created_by, created_ms, expires_ms, reference, sequence = row
        return model.Reservation(
            tuple(map(model.Line, products, quantities)),
            model.Status(status),
            created_by,
            created_ms,
            expires_ms,
            reference,
            sequence,
        )


def encode_command(command: model.AnyCommand) -> bytes:
    """A commerce command as it travels."""
    return _encode(command)


def decode_reply(body: bytes) -> model.AnyReply:
    """A commerce reply as it travelled."""
    return _replies.decode(body)


FAMILIES: Families = {COMMERCE: Family(COMMERCE, StockLoader(), CommerceRules())}
