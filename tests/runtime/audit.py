"""Compares what clients were told with what the database holds, and the database with itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import asyncpg

from actors.families import decode_reply
from actors.runtime.wire import decode_logged
from actors.stock import model as m
from core.errors import CommandFailed, Conflict
from tests.runtime.clients import Request
from tests.runtime.kit import Urls

# Each finds rows that must not exist.
_CONTRADICTIONS = {
    "a level is not the sum of its ledger": """
        SELECT l.product_id, on_hand, reserved, incoming FROM stock_levels l
        LEFT JOIN stock_movements m USING (product_id, location_id)
        GROUP BY l.product_id, l.location_id HAVING on_hand <> coalesce(sum(on_hand_delta), 0)
          OR reserved <> coalesce(sum(reserved_delta), 0)
          OR incoming <> coalesce(sum(incoming_delta), 0)""",
    "what is incoming is not on its way": """
        SELECT l.product_id, incoming, coming FROM stock_levels l LEFT JOIN (
          SELECT item, location_id, sum(coming) AS coming FROM (
            SELECT (line->>0)::uuid AS item, location_id, greatest((line->>1)::int
              - (line->>3)::int - (line->>4)::int, 0) AS coming
            FROM purchase_orders, jsonb_array_elements(lines) AS line
            WHERE status IN ('ordered', 'partly_received')
            UNION ALL SELECT p, to_location_id, q - coalesce(came, 0)
            FROM stock_transfers, unnest(product_ids, quantities, received) AS u(p, q, came)
            WHERE status = 'in_transit') AS ways GROUP BY item, location_id) AS o
          ON o.item = l.product_id AND o.location_id = l.location_id
        WHERE incoming <> coalesce(coming, 0)""",
    "a line of the ledger does not follow from those before": """
        SELECT * FROM (SELECT *,
          sum(on_hand_delta) OVER w AS on_hand_sum, sum(reserved_delta) OVER w AS reserved_sum
          FROM stock_movements
          WINDOW w AS (PARTITION BY product_id, location_id ORDER BY sequence)) AS s
        WHERE on_hand_sum <> on_hand_after OR reserved_sum <> reserved_after""",
    "time runs backwards in the ledger": """
        SELECT * FROM (SELECT product_id, sequence, recorded_at,
          lag(recorded_at) OVER (PARTITION BY product_id, location_id ORDER BY sequence) AS before
          FROM stock_movements) AS s WHERE recorded_at < before""",
    "what is reserved is not what open holds hold": """
        SELECT l.product_id, reserved, held FROM stock_levels l LEFT JOIN
          (SELECT p, location_id, sum(q) AS held
           FROM reservations, unnest(product_ids, quantities) AS u(p, q)
           WHERE status = 'open' GROUP BY p, location_id) AS h
          ON h.p = l.product_id AND h.location_id = l.location_id
        WHERE reserved <> coalesce(held, 0)""",
    "a hold was opened or ended twice": """
        SELECT reservation_id, product_id, count(*) FILTER (WHERE kind = 'reserved') AS opened,
          count(*) FILTER (WHERE kind IN ('confirmed', 'expired')) AS ended
        FROM stock_movements WHERE reservation_id IS NOT NULL
        GROUP BY reservation_id, product_id
        HAVING count(*) FILTER (WHERE kind = 'reserved') <> 1
          OR sum(reserved_delta) < 0 OR count(*) FILTER (WHERE kind = 'expired') > 1
          OR count(*) FILTER (WHERE kind = 'confirmed') > 1""",
    "a command was logged twice": """
        SELECT id, count(*) FROM command_log GROUP BY id HAVING count(*) > 1""",
    "a command opened more than one hold": """
        SELECT command_id, count(DISTINCT reservation_id) FROM stock_movements
        WHERE kind = 'reserved' GROUP BY command_id HAVING count(DISTINCT reservation_id) > 1""",
    "a caller's movement without its command in the log": """
        SELECT DISTINCT command_id FROM stock_movements m WHERE created_by <> 'holdfast'
          AND NOT EXISTS (SELECT FROM command_log c WHERE c.id = m.command_id)""",
}


async def contradictions(urls: Urls) -> dict[str, list[Any]]:
    """Where the database contradicts itself; empty when it does not."""
    owner = await asyncpg.connect(urls.owner)
    try:
        found = {name: await owner.fetch(query) for name, query in _CONTRADICTIONS.items()}
    finally:
        await owner.close()
    return {name: rows for name, rows in found.items() if rows}


@dataclass(frozen=True)
class Findings:
    """`lost`: answered yes, but not in the database. `doubled`: with more than one effect.
    `changed`: one request, different answers, or another than the log holds. `denied`: told that
    the database refused what was sound."""

    asked: int
    acked: int
    lost: list[Request]
    doubled: list[Request]
    changed: list[Request]
    denied: list[Request]
    contradictions: dict[str, list[Any]]

    @property
    def clean(self) -> bool:
        wrong = (self.lost, self.doubled, self.changed, self.denied, self.contradictions)
        return not any(wrong)

    def __str__(self) -> str:
        return (
            f"{self.asked} asked, {self.acked} acked, {len(self.lost)} lost,"
            f" {len(self.doubled)} doubled, {len(self.changed)} changed,"
            f" {len(self.denied)} denied, contradictions: {list(self.contradictions) or 'none'}"
        )


async def audit(urls: Urls, log: Iterable[Request]) -> Findings:
    """Every request against the command log, the ledger and the reservations."""
    requests = list(log)
    owner = await asyncpg.connect(urls.owner)
    try:
        logged = {row[0]: row[1] for row in await owner.fetch("SELECT id, reply FROM command_log")}
        holds = {row[0] for row in await owner.fetch("SELECT id FROM reservations")}
        moved = {
            row[0]: row[1]
            for row in await owner.fetch(
                "SELECT command_id, count(*) FROM stock_movements GROUP BY command_id"
            )
        }
    finally:
        await owner.close()
    lost, doubled, changed = [], [], []
    for request in requests:
        if request.said_yes and request.command_id not in logged:
            lost.append(request)
        if isinstance(request.command, m.Reserve):
            made = [command for command in request.sent if command.reservation_id in holds]
            if len(made) > 1:
                doubled.append(request)
            if request.said_yes and not made:
                lost.append(request)
        if isinstance(request.command, m.AddStock) and moved.get(request.command_id, 0) > 1:
            doubled.append(request)
        told = [reply for reply in request.replies if not isinstance(reply, m.Refused)]
        if request.command_id in logged:
            told.append(decode_reply(decode_logged(logged[request.command_id]).reply))
        if any(reply != told[0] for reply in told):
            changed.append(request)
    refusals = (CommandFailed, Conflict)
    denied = [
        request
        for request in requests
        if any(isinstance(error, refusals) for error in request.errors)
    ]
    acked = sum(request.said_yes for request in requests)
    wrong = await contradictions(urls)
    return Findings(len(requests), acked, lost, doubled, changed, denied, wrong)
