"""How the till tells the world what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from actors.composite import Rows
from actors.runtime.family import Change
from core.ids import text_of

_to_json = msgspec.json.Encoder().encode


def tell(change: Change, rows: Rows, kind: str, data: Mapping[str, Any]) -> None:
    rows["outbox"].append(
        (
            change.key.tenant_id,
            kind,
            text_of(change.key.id),
            change.context.now_ms,
            _to_json(data).decode(),
        )
    )
