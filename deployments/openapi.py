"""The API's description, as the code has it and as it is committed."""

from __future__ import annotations

import json
from pathlib import Path

from deployments.capabilities import CAPABILITIES
from gateway.app import placed_routes
from gateway.openapi import describe

COMMITTED = Path(__file__).with_name("openapi.json")


def text() -> str:
    """The OpenAPI document of the whole API, as it is committed."""
    return json.dumps(describe(placed_routes(CAPABILITIES)), indent=2, sort_keys=True) + "\n"


def is_current() -> bool:
    """Whether the committed document is what the code says."""
    return COMMITTED.exists() and COMMITTED.read_text() == text()


def write() -> None:
    COMMITTED.write_text(text())
