"""Compares what clients were told with what the database holds, and the database with itself."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from tests.chaos.client import Client
from tests.chaos.load import Command
from tests.chaos.world import Business
from tests.stack import Stack

OURS = UUID(int=0)  # commands that the shard gives itself: what expires

_MOVEMENTS = """
SELECT product_id::text AS product, command_id, kind, on_hand_delta AS on_hand,
  reserved_delta AS reserved, reservation_id::text AS reservation
FROM stock_movements WHERE tenant_id = ANY($1) ORDER BY product_id, location_id, sequence"""
_RESERVATIONS = """
SELECT id::text, status, product_ids::text[] AS products, quantities FROM reservations
WHERE tenant_id = ANY($1)"""
_LOGGED = "SELECT id, count(*) AS n FROM command_log WHERE tenant_id = ANY($1) GROUP BY id"

_SHORT = """
FROM reservations WHERE tenant_id = ANY($1) AND expires_at - created_at < interval '1 minute'"""
_SHORT_AND_OPEN = f"SELECT count(*) {_SHORT} AND status = 'open'"
_EXPIRED = f"SELECT count(*) {_SHORT} AND status = 'expired'"
_LAST_DUE = f"SELECT extract(epoch FROM max(expires_at) - now())::float8 + 30 {_SHORT}"
SWEEP_SECONDS = 20.0

# Each finds what contradicts itself.
CONTRADICTIONS = {
    "a step of the ledger that does not follow": """
SELECT product_id, sequence FROM (SELECT *, lag(on_hand_after, 1, 0::bigint) OVER w AS was,
  lag(reserved_after, 1, 0::bigint) OVER w AS held FROM stock_movements
  WHERE tenant_id = ANY($1)
  WINDOW w AS (PARTITION BY product_id, location_id ORDER BY sequence)) AS steps
WHERE on_hand_after <> was + on_hand_delta OR reserved_after <> held + reserved_delta""",
    "a level that is not the sum of its ledger": """
SELECT l.product_id FROM stock_levels l LEFT JOIN (
  SELECT product_id, location_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
  FROM stock_movements GROUP BY product_id, location_id) AS m USING (product_id, location_id)
WHERE l.tenant_id = ANY($1) AND (l.on_hand, l.reserved) IS DISTINCT FROM (m.on_hand, m.reserved)""",
    "a level that does not hold what is reserved": """
SELECT l.product_id FROM stock_levels l LEFT JOIN (
  SELECT product_id, location_id, sum(quantity) AS held FROM reservations,
    unnest(product_ids, quantities) AS line(product_id, quantity)
  WHERE status = 'open' GROUP BY product_id, location_id) AS o USING (product_id, location_id)
WHERE l.tenant_id = ANY($1) AND l.reserved <> coalesce(o.held, 0)""",
    "an event out of order": """
SELECT subject, id FROM (SELECT subject, id, (data->>'sequence')::bigint AS sequence,
  lag((data->>'sequence')::bigint, 1, 0::bigint) OVER
  (PARTITION BY subject, data->>'locationId' ORDER BY id) AS before
  FROM outbox WHERE tenant_id = ANY($1) AND type = 'inventory.stock.updated.v1') AS told
WHERE sequence <= before""",
    "a level that was never told": """
SELECT l.product_id FROM stock_levels l JOIN LATERAL (
  SELECT data FROM outbox WHERE tenant_id = l.tenant_id AND subject = l.product_id::text
  AND data->>'locationId' = l.location_id::text
  AND type = 'inventory.stock.updated.v1' ORDER BY id DESC LIMIT 1) AS last ON true
WHERE l.tenant_id = ANY($1) AND ((last.data->>'onHand')::bigint, (last.data->>'reserved')::bigint,
  (last.data->>'sequence')::bigint) IS DISTINCT FROM (l.on_hand, l.reserved, l.sequence)""",
}


@dataclass
class Audit:
    """What was found wrong; `lost`: acknowledged and not there, `doubled`: there more than once,
    `stray`: there and nobody's, `other`: all else."""

    lost: list[str]
    doubled: list[str]
    stray: list[str]
    other: list[str]

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.stray or self.other)

    def __str__(self) -> str:
        kinds = ("lost", "doubled", "stray", "other")
        lines = [f"{len(getattr(self, kind))} {kind}" for kind in kinds]
        samples = [f"{kind}: {text[:600]}" for kind in kinds for text in getattr(self, kind)[:5]]
        return "\n".join([", ".join(lines), *samples])


async def settle(stack: Stack, businesses: list[Business]) -> int:
    """Waits until nothing changes by itself any more: what was abandoned has run to its end, and
    what nobody closed has expired, soon after its grace is over. Returns how many have. Raises
    TimeoutError if the sweep overlooks one."""
    tenants = [business.tenant for business in businesses]
    connection = await stack.database()
    try:
        due = await connection.fetchval(_LAST_DUE, tenants)
        async with asyncio.timeout(max(due or 0, 0) + SWEEP_SECONDS):
            while await connection.fetchval(_SHORT_AND_OPEN, tenants):
                await asyncio.sleep(0.2)
        await asyncio.sleep(1)
        return int(await connection.fetchval(_EXPIRED, tenants))
    finally:
        await connection.close()


async def audit(stack: Stack, businesses: list[Business], log: list[Command]) -> Audit:
    """To be called once nothing runs any more."""
    found = Audit([], [], [], [])
    tenants = [business.tenant for business in businesses]
    connection = await stack.database()
    try:
        movements = [dict(row) for row in await connection.fetch(_MOVEMENTS, tenants)]
        reservations = {
            row["id"]: dict(row) for row in await connection.fetch(_RESERVATIONS, tenants)
        }
        logged = {row["id"]: row["n"] for row in await connection.fetch(_LOGGED, tenants)}
        await _contradictions(connection, tenants, found)
    finally:
        await connection.close()
    _check_commands(log, movements, reservations, logged, found)
    _check_reservations(movements, reservations, found)
    for business in businesses:
        await _check_live_levels(stack, business, movements, found)
    return found


async def _contradictions(
    connection: asyncpg.Connection, tenants: list[UUID], found: Audit
) -> None:
    for what, query in CONTRADICTIONS.items():
        found.other += [f"{what}: {dict(row)}" for row in await connection.fetch(query, tenants)]


def _check_commands(
    log: list[Command],
    movements: list[dict[str, Any]],
    reservations: dict[str, dict[str, Any]],
    logged: dict[UUID, int],
    found: Audit,
) -> None:
    by_command: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for movement in movements:
        by_command[movement["command_id"]].append(movement)
    for command in log:
        rows = by_command.pop(command.id, [])
        if logged.get(command.id, 0) > 1:
            found.doubled.append(f"logged {logged[command.id]} times: {command}")
        if command.kind in ("confirm", "release"):
            _check_closing(command, reservations, found)
            continue
        column = "reserved" if command.kind == "reserve" else "on_hand"
        moved = Counter[str]()
        for row in rows:
            moved[row["product"]] += row[column]
        is_done = command.answer is not None and command.answer.is_done
        if len(rows) > len(command.moves):
            found.doubled.append(f"{command}: {rows}")
        elif is_done and dict(moved) != command.moves:
            found.lost.append(f"{command}: {rows}")
        elif command.answer is not None and not is_done and rows:
            found.stray.append(f"refused, and yet it happened: {command}: {rows}")
        elif rows and dict(moved) != command.moves:
            found.other.append(f"half of it happened: {command}: {rows}")
        if is_done and command.id not in logged:
            found.lost.append(f"not in the command log: {command}")
    known = {OURS} | {command.id for command in log}
    # What was there before the load began came by keys that the gateway made.
    found.stray += [
        f"nobody asked for it: {rows}"
        for command_id, rows in by_command.items()
        if command_id not in known and any(row["kind"] != "received" for row in rows)
    ]


def _check_closing(command: Command, reservations: dict[str, dict[str, Any]], found: Audit) -> None:
    if command.answer is None or not command.answer.is_done:
        return
    there = reservations.get(command.reservation, {}).get("status")
    told = command.answer.data["status"]
    # Too late and taken again: an expired hold may be confirmed by somebody later.
    if there != told and not (told == "expired" and there == "confirmed"):
        found.lost.append(f"told {told}, is {there}: {command}")


def _check_reservations(
    movements: list[dict[str, Any]], reservations: dict[str, dict[str, Any]], found: Audit
) -> None:
    kinds: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for movement in movements:
        if movement["reservation"] is not None:
            kinds[movement["reservation"]][movement["product"], movement["kind"]] += 1
    for reservation_id, row in reservations.items():
        status = row["status"]
        for product in row["products"]:
            counts = kinds[reservation_id]
            if counts[product, "reserved"] != 1:
                found.other.append(f"held {counts[product, 'reserved']} times: {row}")
            ends = {end: counts[product, end] for end in ("confirmed", "released", "expired")}
            if any(n > 1 for n in ends.values()):
                found.doubled.append(f"{ends}: {row}")
            expected = {"open": 0}.get(status, 1)
            if ends["confirmed"] + ends["released"] > 1 or (
                status != "open" and ends.get(status) != expected
            ):
                found.other.append(f"{status}, but {ends}: {row}")
            if status == "open" and any(ends.values()):
                found.other.append(f"open, but {ends}: {row}")
    found.stray += [
        f"of no reservation: {reservation_id}"
        for reservation_id in kinds
        if reservation_id not in reservations
    ]


async def _check_live_levels(
    stack: Stack, business: Business, movements: list[dict[str, Any]], found: Audit
) -> None:
    """Memory says what the ledger says."""
    client = Client(stack.settings.port, business.token)
    for product in (*business.ample, *business.scarce, business.counted):
        level = await client.get(f"/api/inventory/{product}")
        mine = [row for row in movements if row["product"] == product]
        ledger = sum(row["on_hand"] for row in mine), sum(row["reserved"] for row in mine)
        if (level["onHand"], level["reserved"]) != ledger:
            found.other.append(f"memory has {level}, the ledger {ledger}")
    client.hang_up()
