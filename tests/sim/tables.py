"""The tables of the simulated database. What becomes of a batch's rows is read off the statements
that the store would execute with them, so that no table is modelled by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.composite import Rows
from store.hosts.aggregates import OUTBOX, Write
from store.inventory import purchasing, stock, transfers
from store.kit.migrate import all_tables
from store.pos import writing

Row = dict[str, Any]
RowKey = tuple[Any, ...]
Place = tuple[str, RowKey]  # a table's name and the key of a row

_METADATA = all_tables()
_MODULES = (stock.TABLES, transfers.TABLES, writing.TABLES, purchasing.TABLES)
_INSERT = re.compile(r"INSERT INTO (\w+) AS t ")
_CONFLICT = re.compile(r"ON CONFLICT \([^)]+\) DO UPDATE SET (.+?) WHERE ")
_UPDATE = re.compile(r"UPDATE (\w+) AS t SET (.+?) FROM ")
_ASSIGNED = re.compile(r"(\w+) = (?:to_timestamp\()?(?:excluded|r)\.")

# What holds for a row, whatever statement writes it.
_CHECKS: Mapping[str, Callable[[Row], bool]] = {
    "stock_levels": lambda row: (
        row["reserved"] >= 0
        and row["incoming"] >= 0
        and row["on_hand"] - row["reserved"] >= row["floor"]
    ),
    "gift_cards": lambda row: row["balance_minor"] >= 0,
    "pos_sale_lines": lambda row: row["returned"] <= row["quantity"],
    "pos_payments": lambda row: row["refunded_minor"] <= row["amount_minor"],
}
_DEFAULTS: Mapping[str, Row] = {
    "pos_sale_lines": {"returned": 0},
    "pos_payments": {"refunded_minor": 0},
}


@dataclass(frozen=True)
class Statement:
    """What the store does with rows of `columns`: inserts them into `table`, writes the `changed`
    columns of those that are there, or both."""

    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    changed: tuple[str, ...]
    inserts: bool

    @classmethod
    def of(cls, write: Write) -> Statement:
        if inserted := _INSERT.match(write.statement):
            table = inserted[1]
            conflict = _CONFLICT.search(write.statement)
            sets = conflict[1] if conflict else ""
        elif updated := _UPDATE.match(write.statement):
            table, sets = updated.groups()
        else:
            raise ValueError(f"what does this write? {write.statement}")
        keys = tuple(column.name for column in _METADATA.tables[table].primary_key)
        return cls(table, write.columns, keys, tuple(_ASSIGNED.findall(sets)), bool(inserted))

    def row(self, values: tuple[Any, ...]) -> tuple[Place, Row]:
        row = dict(zip(self.columns, values, strict=True))
        return (self.table, tuple(row[key] for key in self.keys)), row


_STATEMENTS = {
    name: Statement.of(write) for module in _MODULES for name, write in module.writes.items()
}
_OUTBOX = tuple(OUTBOX.writes)


@dataclass
class Tables:
    """Rows by table and key, in the order in which they came. `went_back` are states that were
    written over by what is not later: no statement of a sound runtime ever does that."""

    rows: dict[str, dict[RowKey, Row]] = field(
        default_factory=lambda: {statement.table: {} for statement in _STATEMENTS.values()}
    )
    events: list[tuple[Any, ...]] = field(default_factory=list)
    went_back: list[str] = field(default_factory=list)

    def __getitem__(self, table: str) -> dict[RowKey, Row]:
        return self.rows[table]

    def of(self, table: str, **values: Any) -> Iterator[Row]:
        """Rows that have these values."""
        for row in self.rows[table].values():
            if all(row[column] == value for column, value in values.items()):
                yield row

    def breaks(self, batch: Sequence[Rows]) -> str | None:
        """Which constraint a batch would break."""
        fresh: set[Place] = set()
        for statement, place, row in _written(batch):
            table, key = place
            known = self.rows[table].get(key)
            if statement.inserts and not statement.changed:
                if known is not None or place in fresh:
                    return f"{table} has {key} already"
                fresh.add(place)
            check = _CHECKS.get(table)
            # What a batch both inserts and changes is checked as it is inserted.
            if check is not None and (known is not None or statement.inserts):
                whole = {**_DEFAULTS.get(table, {}), **(known or {}), **row}
                if not check(whole):
                    return f"{table} cannot be {row}"
        return None

    def apply(self, batch: Sequence[Rows]) -> None:
        for statement, (table, key), row in _written(batch):
            known = self.rows[table].get(key)
            if known is None:
                if not statement.inserts:
                    self.went_back.append(f"{table} has no {key} to change")
                    continue
                self.rows[table][key] = {**_DEFAULTS.get(table, {}), **row}
                continue
            if "sequence" in statement.changed and row["sequence"] <= known["sequence"]:
                self.went_back.append(f"{table}: {known} became {row}")
            known |= {column: row[column] for column in statement.changed}
        for rows in batch:
            for name in _OUTBOX:
                self.events.extend(rows.get(name, ()))


def _written(batch: Sequence[Rows]) -> Iterator[tuple[Statement, Place, Row]]:
    for rows in batch:
        for name in rows.keys() - _STATEMENTS.keys() - set(_OUTBOX):
            raise KeyError(name)
        for name, statement in _STATEMENTS.items():
            for values in rows.get(name, ()):
                yield statement, *statement.row(values)


def places(batch: Sequence[Rows]) -> set[Place]:
    """The rows that a batch writes: another transaction that writes one of them waits."""
    return {place for _, place, _ in _written(batch)}
