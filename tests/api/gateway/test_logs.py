"""What a running copy writes down is JSON, a line each, wherever it comes from."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.api.shop import Shop
from tests.stack import Stack

LONGEST_WAIT_SECONDS = 20.0


def ours(logs: Path) -> list[str]:
    """Lines that Holdfast's own logger wrote: each names a component."""
    found = []
    for path in logs.glob("worker-*"):
        lines = path.read_text(errors="replace").splitlines()
        found += [line for line in lines if '"component"' in line]
    return found


async def test_lines_are_json(stack: Stack, shop: Shop) -> None:
    logs = stack.settings.home_path / "logs" / "ray"
    wanted = {"runtime.keeper", "runtime.ownership"}
    seen: set[str] = set()
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while not wanted <= seen and time.monotonic() < deadline:
        for line in ours(logs):
            try:
                seen.add(json.loads(line)["component"])
            except ValueError:
                pytest.fail(f"not JSON: {line[:200]}")
        await asyncio.sleep(0.2)
    assert wanted <= seen
