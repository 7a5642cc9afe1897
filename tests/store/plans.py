"""What a statement costs, as Postgres itself counts it."""

from __future__ import annotations

import json
from typing import Any

import asyncpg


async def buffers(connection: asyncpg.Connection, statement: str, *arguments: Any) -> int:
    """How many pages of 8 kB the statement looked at, found in memory or not. It runs."""
    explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
    plan = json.loads(await connection.fetchval(explained, *arguments))[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
