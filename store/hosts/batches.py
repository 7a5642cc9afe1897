"""How a batch is committed in one round trip: by a function that the host's connection makes for
itself out of what the families register, and calls with all their rows.

Called outside of a transaction it is one: the server proves, writes and commits without waiting
for the host, which may be stopped meanwhile and yet keeps nobody waiting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, repeat
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from store.kit.connect import COMMITTING

FENCED, STALE, KNOWN = "HF001", "HF002", "HF003"
FIRST_BLOB = 7  # among the function's parameters

# Of a line of the command log: in the week in which ids are remembered. Days to come are left out,
# but for tomorrow, should the server's clock have been set back since.
REMEMBERED = """created_on
  BETWEEN (now() AT TIME ZONE 'UTC')::date - 7 AND (now() AT TIME ZONE 'UTC')::date + 1"""

# FOR KEY SHARE would not block the UPDATE that moves an epoch; FOR SHARE does.
PROOF = f"""
  PERFORM 1 FROM shard_leases l
    JOIN unnest($1, $2, $3) AS p(family, shard, epoch)
    ON l.family = p.family AND l.shard = p.shard AND l.epoch = p.epoch
    WHERE l.host_id = $4 FOR SHARE OF l;
  GET DIAGNOSTICS found_rows = ROW_COUNT;
  IF found_rows <> cardinality($1) THEN RAISE EXCEPTION 'fenced' USING ERRCODE = '{FENCED}'; END IF;
"""

# Of commands that may have been decided before, those that were. After the proof, so that nobody
# else can be about to decide one of them.
ASK = f"""
  IF {{ids}} IS NOT NULL THEN
    SELECT string_agg(id::text, ',') INTO found_ids FROM command_log
      WHERE id = ANY({{ids}}::uuid[]) AND {REMEMBERED};
    IF found_ids IS NOT NULL THEN
      RAISE EXCEPTION 'known' USING ERRCODE = '{KNOWN}', DETAIL = found_ids;
    END IF;
  END IF;
"""  # noqa: S608

# What a host finds by its keys, it finds by an index: a plan that was made while a table was
# empty, such as that of tomorrow's command log, is kept, and must be right when it is full.
PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",
}


class Write(NamedTuple):
    """`statement` takes one array per column of the rows. `columns` are their names; `arrays` those
    of which each value is itself an array, of numbers or ids, and travels as text."""

    statement: str
    columns: tuple[str, ...] = ()
    arrays: frozenset[str] = frozenset()


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


def array_literal(items: Sequence[Any]) -> str:
    """Postgres' notation of an array of numbers or ids, which need no quoting."""
    return "{" + ",".join(map(str, items)) + "}"


def _quoted(value: Any) -> str:
    if value is None:
        return "NULL"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Table:
    """How rows of a table travel: each column as the text of an array, which msgspec makes faster
    than the driver, which looks at each element in Python; bytes as they are, which as text are
    twice as many."""

    def __init__(self, name: str, write: Write) -> None:
        kinds = {int(place): kind for place, kind in _ARRAY.findall(write.statement)}
        if odd := set(kinds.values()) - _AS_JSON - {"bytea"}:
            raise ValueError(f"nobody knows how {odd} travel")
        self._name = name
        self._statement = write.statement
        self._plain = [kinds[place] != "bytea" for place in sorted(kinds)]
        nested = [column in write.arrays for column in write.columns]
        self._nested = nested or [False] * len(kinds)

    def take(self, rows: Sequence[Any], texts: list[str | None], blobs: list[Any]) -> None:
        """Adds the columns to those that travel; None for each where there are no rows."""
        if not rows:
            texts.extend(repeat(None, sum(self._plain)))
            blobs.extend(repeat(None, len(self._plain) - sum(self._plain)))
            return
        columns = zip(*rows, strict=True)
        for plain, nested, column in zip(self._plain, self._nested, columns, strict=True):
            if nested:
                texts.append(array_of_scalars([array_literal(value) for value in column]))
            elif plain:
                texts.append(array_of_scalars(column))
            else:
                blobs.append(column)

    def body(self, number: int, texts: Iterator[int], blobs: Iterator[int]) -> str:
        """Writes the table, the `number`th; the next places among what travels are its columns'."""
        sources = [
            f"($6)[{next(texts)}]" if plain else f"${FIRST_BLOB + next(blobs)}"
            for plain in self._plain
        ]
        statement = _ARRAY.sub(
            lambda found: f"{sources[int(found[1]) - 1]}::{found[2]}[]", self._statement
        )
        return f"""
  IF ($5)[{number}] > 0 THEN
    {statement};
    GET DIAGNOSTICS found_rows = ROW_COUNT;
    IF found_rows <> ($5)[{number}] THEN
      RAISE EXCEPTION '{self._name}: % of % rows', found_rows, ($5)[{number}]
        USING ERRCODE = '{STALE}';
    END IF;
  END IF;"""


class Procedure:
    """The function `number` of a connection; it writes `parts` in their order: what each
    registers, by table."""

    def __init__(self, number: int, parts: Sequence[Mapping[str, Write]]) -> None:
        self._parts = [
            {name: _Table(name, write) for name, write in part.items()} for part in parts
        ]
        tables = [table for part in self._parts for table in part.values()]
        texts, blobs = count(1), count()
        bodies = [table.body(place, texts, blobs) for place, table in enumerate(tables, 1)]
        ask = ASK.format(ids=f"($6)[{next(texts)}]")
        kinds = ["text[]", "int[]", "bigint[]", "uuid", "int[]", "text[]"]
        kinds += ["bytea[]"] * next(blobs)
        places = ", ".join(f"${place}" for place, _ in enumerate(kinds, 1))
        # Takes families, shards and epochs to be proved, the host's id, and `arguments`.
        self.call = f"SELECT {COMMITTING}{number}({places})"
        # Its parameters have no names, which a column might have too.
        self.definition = (
            f"CREATE FUNCTION {COMMITTING}{number}({', '.join(kinds)}) RETURNS void"
            " LANGUAGE plpgsql AS $body$\n#variable_conflict use_column\n"
            f"DECLARE found_rows bigint; found_ids text;\n"
            f"BEGIN{PROOF}{ask}{''.join(bodies)}\nEND $body$"
        )

    def arguments(
        self, batch: Sequence[Mapping[str, Sequence[tuple[Any, ...]]]], unsure: Sequence[UUID]
    ) -> list[Any]:
        """How many rows each table gets, all columns that travel as text with the ids of which the
        log is asked behind them, and each column of bytes.
        Raises KeyError for rows of a table that nobody registered, ValueError or TypeError for
        such as cannot be sent."""
        counts: list[int] = []
        texts: list[str | None] = []
        blobs: list[Any] = []
        for tables, rows in zip(self._parts, batch, strict=True):
            for unknown in rows.keys() - tables.keys():
                raise KeyError(unknown)
            for name, table in tables.items():
                some = rows.get(name, ())
                counts.append(len(some))
                table.take(some, texts, blobs)
        texts.append(array_of_scalars(unsure) if unsure else None)
        return [counts, texts, *blobs]
