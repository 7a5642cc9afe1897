"""How a batch is committed in one round trip: by a function that the host's connection makes for
itself out of what the families register, and calls with all their rows.

Called outside of a transaction it is one: the server proves, writes and commits without waiting
for the host, which may be stopped meanwhile and yet keeps nobody waiting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from store.connect import COMMITTING

FENCED, STALE = "HF001", "HF002"

# FOR KEY SHARE would not block the UPDATE that moves an epoch; FOR SHARE does.
PROOF = f"""
  PERFORM 1 FROM shard_leases l
    JOIN unnest($1, $2, $3) AS p(family, shard, epoch)
    ON l.family = p.family AND l.shard = p.shard AND l.epoch = p.epoch
    WHERE l.host_id = $4 FOR SHARE OF l;
  GET DIAGNOSTICS found_rows = ROW_COUNT;
  IF found_rows <> cardinality($1) THEN RAISE EXCEPTION 'fenced' USING ERRCODE = '{FENCED}'; END IF;
"""

# What a host finds by its keys, it finds by an index: a plan that was made while a table was
# empty, such as that of tomorrow's command log, is kept, and must be right when it is full.
PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",
}


class Write(NamedTuple):
    """`statement` takes one array per column of the rows; `row` puts a row into that shape."""

    statement: str
    row: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None


_ARRAY = re.compile(r"\$(\d+)::(\w+)\[\]")
# Whose JSON is what Postgres reads within an array, but for characters that JSON writes in other
# ways. That of a float is not: NaN.
_AS_JSON = frozenset({"uuid", "bigint", "int", "bool", "text"})
_to_json = msgspec.json.Encoder().encode
_OTHERWISE = re.compile(rb"\\[bfnrtu]")


def array_of_scalars(column: Sequence[Any]) -> str:
    """Postgres' notation of an array. Raises ValueError for text that is none."""
    text = _to_json(column)
    if b"\\" in text and _OTHERWISE.search(text):
        return "{" + ",".join(map(_quoted, column)) + "}"
    return f"{{{text[1:-1].decode()}}}"


def _quoted(one: Any) -> str:
    if one is None:
        return "NULL"
    return '"' + str(one).replace("\\", "\\\\").replace('"', '\\"') + '"'


def array_of_bytes(column: Sequence[bytes | None]) -> str:
    """Postgres' notation of an array of bytea."""
    return "{" + ",".join("NULL" if one is None else f'"\\\\x{one.hex()}"' for one in column) + "}"


class _Table:
    """How rows of a table travel: each column as the text of an array, in one array of text. The
    driver would look at each element of an array in Python; msgspec does so in C."""

    def __init__(self, write: Write) -> None:
        found = {int(place): kind for place, kind in _ARRAY.findall(write.statement)}
        if odd := set(found.values()) - _AS_JSON - {"bytea"}:
            raise ValueError(f"nobody knows how {odd} travel")
        self.width = len(found)
        self._statement, self._row = write
        self._bytes = {place for place, kind in found.items() if kind == "bytea"}

    def columns(self, rows: Iterable[tuple[Any, ...]]) -> list[str]:
        shaped = rows if self._row is None else map(self._row, rows)
        return [
            array_of_bytes(column) if place in self._bytes else array_of_scalars(column)
            for place, column in enumerate(zip(*shaped, strict=True), 1)
        ]

    def body(self, name: str, number: int, before: int) -> str:
        """Writes the table, the `number`th, whose columns come after `before` others."""
        statement = _ARRAY.sub(
            lambda found: f"($6)[{before + int(found[1])}]::{found[2]}[]", self._statement
        )
        return f"""
  IF ($5)[{number}] > 0 THEN
    {statement};
    GET DIAGNOSTICS found_rows = ROW_COUNT;
    IF found_rows <> ($5)[{number}] THEN
      RAISE EXCEPTION '{name}: % of % rows', found_rows, ($5)[{number}]
        USING ERRCODE = '{STALE}';
    END IF;
  END IF;"""


class Procedure:
    """The function `number` of a connection; it writes `parts` in their order: what each
    registers, by table."""

    def __init__(self, number: int, parts: Sequence[Mapping[str, Write]]) -> None:
        self._name = f"{COMMITTING}{number}"
        self._parts = [{name: _Table(write) for name, write in part.items()} for part in parts]

    @property
    def definition(self) -> str:
        """Its parameters have no names, which a column might have too."""
        bodies, width = [], 0
        tables = [item for part in self._parts for item in part.items()]
        for number, (name, table) in enumerate(tables, 1):
            bodies.append(table.body(name, number, width))
            width += table.width
        return (
            f"CREATE FUNCTION {self._name}(text[], int[], bigint[], uuid, int[], text[])"
            " RETURNS void LANGUAGE plpgsql AS $body$\n#variable_conflict use_column\n"
            f"DECLARE found_rows bigint;\nBEGIN{PROOF}{''.join(bodies)}\nEND $body$"
        )

    @property
    def call(self) -> str:
        """Takes families, shards and epochs to be proved, the host's id, and `arguments`."""
        return f"SELECT {self._name}($1, $2, $3, $4, $5, $6)"

    def arguments(
        self, batch: Sequence[Mapping[str, Sequence[tuple[Any, ...]]]]
    ) -> tuple[list[int], list[str | None]]:
        """How many rows each table gets, and all columns. Raises KeyError for rows of a table
        that nobody registered, ValueError or TypeError for such as cannot be sent."""
        counts: list[int] = []
        columns: list[str | None] = []
        for tables, rows in zip(self._parts, batch, strict=True):
            for unknown in rows.keys() - tables.keys():
                raise KeyError(unknown)
            for name, table in tables.items():
                some = rows.get(name, ())
                counts.append(len(some))
                columns.extend(table.columns(some) if some else [None] * table.width)
        return counts, columns
