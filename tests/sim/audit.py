"""Where the simulated database contradicts itself. It should be nowhere."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec

from tests.sim.database import SimDatabase
from tests.sim.tables import Row, Tables

_COUNTED = re.compile(r"counted (\d+)")
_SUMS = ("on_hand", "reserved", "incoming")


def contradictions(database: SimDatabase) -> Iterator[str]:
    tables = database.tables
    yield from tables.went_back
    yield from _ledgers(tables)
    yield from _promises(tables)
    yield from _counts(tables)
    yield from _drawers(tables)
    yield from _receipts(tables)
    yield from _sales(tables)
    yield from _cards(tables)
    yield from _unlogged(database)


def _by(rows: Iterator[Row], *columns: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[column] for column in columns)].append(row)
    return found


def _ledgers(tables: Tables) -> Iterator[str]:
    """Each line follows from those before, in time too, and a level is the sum of its lines."""
    ledgers = _by(tables.of("stock_movements"), "product_id", "location_id")
    for place, lines in ledgers.items():
        lines.sort(key=lambda line: line["sequence"])
        total, latest_ms = Counter[str](), 0
        for line in lines:
            total.update({name: line[f"{name}_delta"] for name in _SUMS})
            if any(total[name] != line[f"{name}_after"] for name in _SUMS):
                yield f"line {line['sequence']} of {place} does not follow"
            if line["recorded_at"] < latest_ms:
                yield f"time runs backwards at line {line['sequence']} of {place}"
            latest_ms = line["recorded_at"]
        level = tables["stock_levels"].get(place)
        if level is None or any(level[name] != total[name] for name in _SUMS):
            yield f"the level of {place} is not the sum of its ledger"
        elif level["sequence"] < lines[-1]["sequence"]:
            yield f"the level of {place} is older than its ledger"
    opened = Counter(line["command_id"] for line in tables.of("stock_movements", kind="reserved"))
    yield from (f"{command} opened {n} holds" for command, n in opened.items() if n > 1)


def _promises(tables: Tables) -> Iterator[str]:
    """What is reserved is held by somebody, and what is incoming is on its way."""
    held, incoming = Counter[Any](), Counter[Any]()
    for hold in tables.of("reservations", status="open"):
        for product, quantity in zip(hold["product_ids"], hold["quantities"], strict=True):
            held[product, hold["location_id"]] += quantity
    for transfer in tables.of("stock_transfers", status="in_transit"):
        for product, quantity in zip(transfer["product_ids"], transfer["quantities"], strict=True):
            incoming[product, transfer["to_location_id"]] += quantity
    for order in tables.of("purchase_orders"):
        if order["status"] in ("ordered", "partly_received"):
            for item, quantity, _, received, cancelled, *_ in msgspec.json.decode(order["lines"]):
                place = (UUID(item), order["location_id"])
                incoming[place] += max(quantity - received - cancelled, 0)
    for place, level in tables["stock_levels"].items():
        if level["reserved"] != held[place]:
            yield f"{level['reserved']} reserved of {place}, {held[place]} held"
        if level["incoming"] != incoming[place]:
            yield f"{level['incoming']} incoming of {place}, {incoming[place]} on their way"


def _counts(tables: Tables) -> Iterator[str]:
    """A ledger in the order in which things happened passes through each count of it, as far as
    nothing else happened in the same millisecond."""
    for place, lines in _by(tables.of("stock_movements"), "product_id", "location_id").items():
        moments = Counter(line["occurred_at"] for line in lines)
        for line in lines:
            counted = _COUNTED.fullmatch(line["reason"] or "")
            at_ms = line["occurred_at"]
            if line["kind"] != "counted" or counted is None or moments[at_ms] > 1:
                continue
            there = sum(row["on_hand_delta"] for row in lines if row["occurred_at"] <= at_ms)
            if there != int(counted[1]):
                yield f"{counted[1]} of {place} were counted, the ledger says {there}"


def _drawers(tables: Tables) -> Iterator[str]:
    sale_of = {key[0]: row for key, row in tables["pos_sales"].items()}
    return_of = {key[0]: row for key, row in tables["pos_returns"].items()}
    cash = Counter[UUID]()
    for paid in tables.of("pos_payments", method="cash"):
        cash[sale_of[paid["sale_id"]]["shift_id"]] += paid["amount_minor"]
    for refund in tables.of("pos_refunds", method="cash"):
        cash[return_of[refund["return_id"]]["shift_id"]] -= refund["amount_minor"]
    for move in tables.of("pos_cash_movements"):
        sign = {"paid_in": 1, "paid_out": -1}.get(move["kind"], 0)
        cash[move["shift_id"]] += sign * move["amount_minor"]
    for (shift,), row in tables["pos_shifts"].items():
        right = row["opening_float_minor"] + cash[shift]
        if row["expected_minor"] != right:
            yield f"drawer {shift} should have {right}, it says {row['expected_minor']}"
    for register, shifts in _by(tables.of("pos_shifts"), "register_id").items():
        if sorted(row["number"] for row in shifts) != list(range(1, len(shifts) + 1)):
            yield f"the shifts of {register} have a gap"


def _receipts(tables: Tables) -> Iterator[str]:
    """Numbers from 1 without a gap, one for each sale and return, and none besides."""
    given = {(row["kind"], row["subject_id"]): row for row in tables.of("pos_receipts")}
    made = {("sale", key[0]): row for key, row in tables["pos_sales"].items()}
    made |= {("return", key[0]): row for key, row in tables["pos_returns"].items()}
    if given.keys() != made.keys():
        yield f"receipts of nothing, or none: {given.keys() ^ made.keys()}"
    for what in given.keys() & made.keys():
        if given[what]["number"] != made[what]["receipt_number"]:
            yield f"{what} has another number on its receipt"
    for (register,), rows in _by(tables.of("pos_receipts"), "register_id").items():
        numbers = sorted(row["number"] for row in rows)
        if numbers != list(range(1, len(rows) + 1)):
            yield f"the receipts of {register} have a gap: {numbers}"
        after = tables["pos_registers"][register,]["next_receipt_number"]
        if after != len(rows) + 1:
            yield f"register {register} gave {len(rows)} receipts and is at {after}"


def _sales(tables: Tables) -> Iterator[str]:
    """No sale without stock, no stock without sale; and what came back is part of what went."""
    moved = Counter[Any]()
    for line in tables.of("stock_movements"):
        if line["kind"] in ("sold", "returned"):
            moved[line["product_id"]] += line["on_hand_delta"]
    sold, back = Counter[Any](), Counter[Any]()
    for line in tables.of("pos_sale_lines"):
        if line["card_id"] is None:
            sold[line["item_id"]] += line["quantity"]
    sale_of = {key[0]: row["sale_id"] for key, row in tables["pos_returns"].items()}
    for line in tables.of("pos_return_lines"):
        sold[line["item_id"]] -= line["quantity"]
        back[sale_of[line["return_id"]], line["line_number"]] += line["quantity"]
    for item in sold.keys() | moved.keys():
        if sold[item] != -moved[item]:
            yield f"{sold[item]} of {item} were sold, {-moved[item]} left"
    for key, line in tables["pos_sale_lines"].items():
        if line["returned"] != back[key]:
            yield f"{back[key]} came back of {key}, it says {line['returned']}"


def _cards(tables: Tables) -> Iterator[str]:
    for (card,), lines in _by(tables.of("gift_card_movements"), "card_id").items():
        lines.sort(key=lambda line: line["sequence"])
        if [line["sequence"] for line in lines] != list(range(1, len(lines) + 1)):
            yield f"the ledger of card {card} has a gap"
        balance = 0
        for line in lines:
            balance += line["delta_minor"]
            if line["balance_minor"] != balance:
                yield f"line {line['sequence']} of card {card} does not follow"
        if tables["gift_cards"][card,]["balance_minor"] != balance:
            yield f"card {card} is not the sum of its ledger"
    paid = Counter[UUID]()
    for payment in tables.of("pos_payments", method="gift_card"):
        paid[payment["card_id"]] -= payment["amount_minor"]
    for refund in tables.of("pos_refunds", method="gift_card"):
        paid[refund["card_id"]] += refund["amount_minor"]
    for (card,), row in tables["gift_cards"].items():
        if row["balance_minor"] != row["initial_minor"] + paid[card]:
            yield f"card {card} has {row['balance_minor']}, its sales say otherwise"


def _unlogged(database: SimDatabase) -> Iterator[str]:
    for line in database.tables.of("stock_movements"):
        if line["created_by"] != "holdfast" and line["command_id"] not in database.log:
            yield f"a movement of {line['command_id']}, which is in no log"
