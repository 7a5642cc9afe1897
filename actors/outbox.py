"""How rules emit events: a row in the batch that makes them true."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import msgspec

from actors.composite import Rows
from actors.runtime.family import Change
from core.events import Event
from core.ids import text_of

_to_json = msgspec.json.Encoder().encode


class OutboxRow(NamedTuple):
    """A row as the store writes it. `time` is in ms since the epoch, UTC, `data` JSON."""

    tenant_id: UUID
    type: str
    subject: str
    time: int
    data: str


def emit(change: Change, rows: Rows, event: Event) -> None:
    """Emits what happened to the change's aggregate, which is the event's subject."""
    # A plain tuple, in the order of `OutboxRow`: every command makes one.
    key, data = change.key, _to_json(event).decode()
    rows["outbox"].append((key.tenant_id, event.kind, text_of(key.id), change.context.now_ms, data))
