"""What a migration must not do while the build before it still serves: see the README beside the
migrations. Each migration is run without a database, and the statements that it would send are
read."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import MetaData

_NAME = r"(?:public\.)?\"?(\w+)\"?"
_ALTERED = re.compile(rf"^ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{_NAME}\s", re.I)
_CREATED = re.compile(rf"^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?{_NAME}", re.I)
_REWRITTEN = re.compile(rf"^(?:UPDATE|DELETE FROM) (?:ONLY )?{_NAME}", re.I)
_INDEXED = re.compile(rf"^CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*?\bON (?:ONLY )?{_NAME}", re.I)
_UNIQUE = re.compile(rf"^CREATE UNIQUE INDEX CONCURRENTLY .*?\bON (?:ONLY )?{_NAME}", re.I)
_ADDED = re.compile(r"\bADD (?!(?:CONSTRAINT|PRIMARY|UNIQUE|FOREIGN|CHECK|EXCLUDE)\b)(.*)", re.I)
_STRING = re.compile(r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|(--[^\n]*|/\*.*?\*/)", re.S)
_KIND = r"(FUNCTION|PROCEDURE|POLICY|VIEW|MATERIALIZED VIEW|TYPE|DOMAIN|SEQUENCE|TRIGGER) "
_MADE = re.compile(rf"^CREATE (?:OR REPLACE )?{_KIND}{_NAME}", re.I)
_DROPPED = re.compile(rf"^DROP {_KIND}(?:IF EXISTS )?{_NAME}", re.I)
# The statements of a DO block are executed at once.
_DO = re.compile(r"\bDO\s+(?:LANGUAGE\s+\w+\s+)?\$(\w*)\$(.*?)\$\1\$", re.S | re.I)
_STEP = re.compile(r"\b(?:BEGIN|THEN|ELSE|LOOP)\b", re.I)
_EXECUTED = re.compile(r"\bEXECUTE\s+(?:format\s*\(\s*)?'((?:[^']|'')*)'", re.I)
# Their value differs from row to row, so that all rows are written anew.
_VOLATILE = re.compile(
    r"\bDEFAULT\b.*\b(gen_random_uuid|uuid_generate_v\w+|uuidv[47]|random|nextval|clock_timestamp|"
    r"timeofday)\s*\(|\b(small|big)?serial\d?\b|\bAS IDENTITY\b",
    re.I,
)

# Rooms whose modules change, and what of them does not.
_OURS = frozenset({"actors", "cli", "core", "deployments", "gateway", "store"})
_FROZEN = re.compile(r"core\.settings\.get_settings$|store\.kit\.schema\.(?!metadata\b)\w+$").match

# What is wrong with a statement as a whole.
_STATEMENTS = {
    "takes a table away": r"DROP TABLE|TRUNCATE|DROP SCHEMA",
    "writes or indexes a table anew while everybody waits": (
        r"CLUSTER\b|VACUUM (\(.*)?FULL\b|REINDEX (?!.*\bCONCURRENTLY\b)"
    ),
    "takes a right away": r"REVOKE (?!.*\bON (FUNCTION|SCHEMA)\b)",
    "renames": r"ALTER (?!TABLE).*\bRENAME\b",
    "hides rows from the build before": r"CREATE POLICY .*\bAS RESTRICTIVE\b",
}
# NOT VALID spares only the rows that are there: each that is written must obey at once.
_NARROWS = "refuses what the build before may write"

# What is wrong with a clause of ALTER TABLE, by what shows it.
_CLAUSES = {
    "drops a column": r"\bDROP (?!(CONSTRAINT|NOT NULL|DEFAULT|EXPRESSION|IDENTITY)\b)",
    "renames": r"\bRENAME\b",
    "changes a type, which writes the table anew": r"\bALTER (COLUMN )?\S+ (SET DATA )?TYPE\b",
    "refuses null, which the build before may write": r"\bSET NOT NULL\b",
    "fills a column no more that the build before leaves out": (
        r"\bALTER (COLUMN )?\S+ DROP (DEFAULT|EXPRESSION|IDENTITY)\b"
    ),
    "hides rows from the build before": r"(?<!\bNO )\b(ENABLE|FORCE) ROW LEVEL SECURITY\b",
    "checks all rows: add it NOT VALID, validate it in a migration of its own": (
        r"\bADD (CONSTRAINT \S+ )?(CHECK|FOREIGN KEY)\b(?!.*NOT VALID)"
    ),
    _NARROWS: r"\bADD (CONSTRAINT \S+ )?(CHECK|FOREIGN KEY)\b.*NOT VALID",
    "builds an index while everybody waits: use index_concurrently": (
        r"\bADD (CONSTRAINT \S+ )?(UNIQUE|PRIMARY KEY|EXCLUDE)\b(?!.*USING INDEX)"
    ),
    "writes the table anew": r"\bSET (UN)?LOGGED\b",
    "takes rows away": r"\bDETACH PARTITION\b",
}


def breaks(scripts: ScriptDirectory, naming: MetaData) -> list[str]:
    """The statements of migrations since the baseline with which the build before them would fail,
    unless the migration says by `CONTRACTS` which release no longer needs what it removes."""
    found: list[str] = []
    for script in scripts.walk_revisions():
        if hasattr(script.module, "REPLACES"):
            break
        statements = statements_of(_said(script, naming))
        found += (f"{script.revision} {fault}" for fault in long_locks(statements))
        if not getattr(script.module, "CONTRACTS", ""):
            found += (f"{script.revision} {fault}" for fault in faults(statements))
    return found


def imports(scripts: ScriptDirectory) -> list[str]:
    """What migrations import that goes on changing after them: a migration stays as it was."""
    return [
        f"{script.revision} imports {name}, which will be another one day: copy what it needs of it"
        " into the migration, and take from store.kit.schema no more than what creates tables"
        for script in scripts.walk_revisions()
        for name in foreign_imports(Path(script.path).read_text())
    ]


def foreign_imports(source: str) -> Iterator[str]:
    """What of ours a migration may not import: all but the settings and what creates tables."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            if name.partition(".")[0] in _OURS and not _FROZEN(name):
                yield name


def _said(script: Script, naming: MetaData) -> str:
    """The statements of a migration, however it executes them."""
    said = io.StringIO()
    options = {"as_sql": True, "output_buffer": said, "target_metadata": naming}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    with Operations.context(context):
        script.module.upgrade()
    return said.getvalue()


def statements_of(script: str) -> list[str]:
    """The statements, each on one line, without strings, comments and bodies of functions; of a DO
    block the statements inside."""
    done = _DO.sub(lambda block: _EXECUTED.sub(r";\1;", _STEP.sub(";", block[2])), script)
    plain = _STRING.sub(lambda found: " " if found[2] else "''", done)
    return [" ".join(statement.split()) for statement in plain.split(";") if statement.strip()]


def faults(statements: list[str]) -> Iterator[str]:
    """What is wrong with a migration. Tables that it makes itself are not in use yet."""
    own = {match[1] for statement in statements if (match := _CREATED.match(statement))}
    made = {match.groups() for statement in statements if (match := _MADE.match(statement))}
    for statement in statements:
        shown = f"({statement[:80]})"
        for fault, pattern in _STATEMENTS.items():
            if re.match(pattern, statement, re.I):
                yield f"{fault} {shown}"
        if (match := _DROPPED.match(statement)) and match.groups() not in made:
            yield f"takes something away that it does not make anew {shown}"
        if (match := _INDEXED.match(statement)) and match[1] not in own:
            yield f"builds an index while everybody waits: use index_concurrently {shown}"
        if (match := _UNIQUE.match(statement)) and match[1] not in own:
            yield f"{_NARROWS} {shown}"
        if (match := _ALTERED.match(statement)) and match[1] not in own:
            yield from (f"{fault} {shown}" for fault in _faults_of(statement))


def long_locks(statements: list[str]) -> Iterator[str]:
    """What looks at many rows, or writes them, under locks that a migration keeps to its end; one
    that contracts may do no more of that than others. An `autocommit_block` keeps none."""
    own = {match[1] for statement in statements if (match := _CREATED.match(statement))}
    altered: set[str] = set()
    is_in_block = False
    for statement in statements:
        if statement in ("BEGIN", "COMMIT"):
            # The block begins by committing what comes before it, and ends by beginning anew.
            is_in_block, altered = statement == "COMMIT", set()
        elif is_in_block:
            continue
        elif (match := _REWRITTEN.match(statement)) and match[1] not in own:
            yield f"changes rows in one transaction: use an autocommit_block ({statement[:80]})"
        elif (match := _ALTERED.match(statement)) and match[1] not in own:
            if match[1] in altered and re.search(r"\bVALIDATE CONSTRAINT\b", statement, re.I):
                yield f"checks all rows under an earlier statement's lock ({statement[:80]})"
            altered.add(match[1])


def _faults_of(statement: str) -> Iterator[str]:
    for clause in re.split(r",(?![^(]*\))", statement):
        for fault, pattern in _CLAUSES.items():
            if re.search(pattern, clause, re.I):
                yield fault
        if match := _ADDED.search(clause):
            added = match[1].upper()
            if "NOT NULL" in added and not re.search(r"\b(DEFAULT|GENERATED)\b", added):
                yield "adds a column that the build before does not fill"
            if " STORED" in added:
                yield "computes a column for all rows while everybody waits"
            if _VOLATILE.search(added):
                yield "gives each row a value of its own, which writes the table anew"
            if re.search(r"\b(CHECK|REFERENCES)\b", added):
                yield "checks all rows: add it NOT VALID, validate it in a migration of its own"
            if re.search(r"\b(UNIQUE|PRIMARY KEY)\b", added):
                yield "builds an index while everybody waits: use index_concurrently"
