"""A migration since the baseline does nothing that the build before it would not bear."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData

import store
from store.kit.expanding import breaks, faults, foreign_imports, statements_of
from store.kit.migrate import rule_breaks

_MIGRATION = """
import sqlalchemy as sa
from alembic import op
from store.kit.schema import create_table, index_concurrently, of_tenant

revision = "{revision}"
down_revision = {before}
{further}

def upgrade():
    {does}
"""


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("ALTER TABLE sales DROP COLUMN note", "drops a column"),
        ("alter table sales drop note", "drops a column"),
        ("ALTER TABLE sales ADD COLUMN a int, DROP COLUMN b", "drops a column"),
        ("DROP TABLE sales", "takes a table away"),
        ("TRUNCATE sales", "takes a table away"),
        ("ALTER TABLE sales RENAME TO bargains", "renames"),
        ("ALTER TABLE sales RENAME COLUMN a TO b", "renames"),
        ("ALTER TABLE sales ALTER COLUMN a TYPE bigint", "changes a type"),
        ("ALTER TABLE sales ALTER a SET DATA TYPE bigint", "changes a type"),
        ("ALTER TABLE sales ALTER COLUMN a SET NOT NULL", "refuses null"),
        ("ALTER TABLE sales ADD COLUMN a int NOT NULL", "adds a column that"),
        ("ALTER TABLE sales ADD a numeric(10, 2) NOT NULL", "adds a column that"),
        ("ALTER TABLE sales ADD b text GENERATED ALWAYS AS (a) STORED", "computes a column"),
        ("CREATE INDEX i ON sales (a)", "builds an index"),
        ('CREATE UNIQUE INDEX i ON public."sales" (a)', "builds an index"),
        ("ALTER TABLE sales ADD CONSTRAINT u UNIQUE (a)", "builds an index"),
        ("ALTER TABLE sales ADD CONSTRAINT c CHECK (a > 0)", "checks all rows"),
        ("ALTER TABLE sales ADD FOREIGN KEY (a) REFERENCES b (a)", "checks all rows"),
        ("ALTER TABLE sales ADD CONSTRAINT c CHECK (a > 0) NOT VALID", "refuses what"),
        ("ALTER TABLE sales ADD FOREIGN KEY (a) REFERENCES b (a) NOT VALID", "refuses what"),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON sales (a)", "refuses what"),
        ("ALTER TABLE sales ALTER COLUMN a DROP DEFAULT", "fills a column no more"),
        ("ALTER TABLE sales ALTER a DROP IDENTITY IF EXISTS", "fills a column no more"),
        ("ALTER TABLE sales ALTER COLUMN a DROP EXPRESSION", "fills a column no more"),
        ("ALTER TABLE sales ENABLE ROW LEVEL SECURITY", "hides rows"),
        ("ALTER TABLE sales FORCE ROW LEVEL SECURITY", "hides rows"),
        ("CREATE POLICY p ON sales AS RESTRICTIVE USING (a > 0)", "hides rows"),
        ("ALTER TABLE sales ADD a uuid DEFAULT gen_random_uuid() NOT NULL", "gives each row"),
        ("ALTER TABLE sales ADD COLUMN a float DEFAULT 1 + random()", "gives each row"),
        ("ALTER TABLE sales ADD COLUMN a bigserial", "gives each row"),
        ("ALTER TABLE sales ADD COLUMN a bigint GENERATED ALWAYS AS IDENTITY", "gives each row"),
        ("ALTER TABLE sales ADD COLUMN a int DEFAULT 1 CHECK (a > 0)", "checks all rows"),
        ("ALTER TABLE sales ADD COLUMN a uuid REFERENCES b (id)", "checks all rows"),
        ("ALTER TABLE sales ADD COLUMN a int UNIQUE", "builds an index"),
        ("ALTER TABLE sales ADD EXCLUDE USING gist (a WITH =)", "builds an index"),
        ("ALTER TABLE sales DROP constraint_kind", "drops a column"),
        ("ALTER TABLE sales SET UNLOGGED", "writes the table anew"),
        ("ALTER TABLE sales DETACH PARTITION p", "takes rows away"),
        ("VACUUM FULL sales", "writes or indexes"),
        ("REINDEX TABLE sales", "writes or indexes"),
        ("REVOKE SELECT ON sales FROM holdfast_app", "takes a right away"),
        ("ALTER TYPE t RENAME VALUE 'a' TO 'b'", "renames"),
        ("DROP POLICY p ON sales; CREATE POLICY q ON sales USING (true)", "takes something away"),
        ("-- It is empty.\nDROP TABLE sales", "takes a table away"),
        ("/* It is empty. */ DROP TABLE sales", "takes a table away"),
        ("DO $$ BEGIN IF 1 < 2 THEN DROP TABLE sales; END IF; END $$", "takes a table away"),
        ("DO $a$ BEGIN EXECUTE 'ALTER TABLE sales DROP a'; END $a$", "drops a column"),
    ],
)
def test_what_the_build_before_would_not_bear(statement: str, fault: str) -> None:
    (found,) = faults(statements_of(f"SELECT 1;\n{statement};"))
    assert found.startswith(fault)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE sales ADD COLUMN a int",
        "ALTER TABLE sales ADD COLUMN a int DEFAULT 0 NOT NULL, ADD COLUMN b text",
        "ALTER TABLE sales ADD COLUMN a text DEFAULT 'x, NOT NULL' NOT NULL",
        "ALTER TABLE sales ALTER COLUMN a DROP NOT NULL, ALTER COLUMN b SET DEFAULT 1",
        "ALTER TABLE sales DROP CONSTRAINT c",
        "ALTER TABLE sales VALIDATE CONSTRAINT c",
        "ALTER TABLE sales NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE sales ADD CONSTRAINT u UNIQUE USING INDEX i",
        "CREATE INDEX CONCURRENTLY i ON sales (a)",
        "REINDEX INDEX CONCURRENTLY i",
        "ALTER TABLE sales ADD COLUMN at timestamptz DEFAULT now() NOT NULL",
        "DROP VIEW v; CREATE VIEW v AS SELECT 1 AS a",
        "REVOKE ALL ON FUNCTION f(int) FROM PUBLIC",
        "DO $$ BEGIN RAISE NOTICE 'DROP TABLE sales'; END $$",
        "CREATE TABLE goods (a int NOT NULL); CREATE INDEX i ON goods (a);"
        " ALTER TABLE goods ADD CONSTRAINT c CHECK (a > 0) NOT VALID;"
        " CREATE UNIQUE INDEX CONCURRENTLY j ON goods (a)",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DROP TABLE sales; $$",
        "COMMENT ON TABLE sales IS 'DROP TABLE sales; it''s said'",
    ],
)
def test_what_it_does_not_notice(statement: str) -> None:
    assert list(faults(statements_of(statement))) == []


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., list[str]]:
    """What is wrong with a migration that does something, after a baseline that did it too."""
    versions = tmp_path / "versions"
    versions.mkdir()

    def write(does: str, further: str = "") -> list[str]:
        for revision, before, said in (
            ("0001_baseline", "None", 'REPLACES = "0000_past"'),
            ("0002_next", '"0001_baseline"', further),
        ):
            parts: dict[str, Any] = {"revision": revision, "before": before, "further": said}
            (versions / f"{revision}.py").write_text(_MIGRATION.format(does=does, **parts))
        config = Config()
        config.set_main_option("script_location", str(tmp_path))
        return breaks(ScriptDirectory.from_config(config), MetaData())

    return write


def test_a_migration_is_refused_whatever_it_says_it_by(
    written: Callable[..., list[str]],
) -> None:
    for does, fault in {
        'op.drop_column("sales", "note")': "0002_next drops a column",
        'op.create_index("i", "sales", ["a"])': "0002_next builds an index",
        'op.execute("DROP TABLE sales")': "0002_next takes a table away",
        'op.add_column("sales", sa.Column("a", sa.Integer, nullable=False))': "0002_next adds",
    }.items():
        (found,) = written(does)
        assert found.startswith(fault)
    assert written('op.drop_column("sales", "note")', 'CONTRACTS = "7"') == []
    assert written('index_concurrently(op, "i", "ON sales (a)")') == []
    column = 'sa.Column("tenant_id", sa.Uuid, nullable=False, index=True)'
    assert written(f'create_table(op, "goods", {column}, info=of_tenant())') == []


_ADDED = 'op.execute("ALTER TABLE sales ADD CONSTRAINT c CHECK (a > 0) NOT VALID")'
_VALIDATED = 'op.execute("ALTER TABLE sales VALIDATE CONSTRAINT c")'
_FILLED = 'op.execute("UPDATE sales SET a = 1 WHERE a IS NULL")'
_GOODS = 'op.execute("CREATE TABLE goods (a int)")'


@pytest.mark.parametrize(
    ("does", "fault"),
    [
        (f"{_ADDED}; {_VALIDATED}", "checks all rows under an earlier statement's lock"),
        (_FILLED, "changes rows in one transaction"),
        ('op.execute("DELETE FROM sales")', "changes rows in one transaction"),
    ],
)
def test_not_even_what_contracts_keeps_everybody_waiting(
    written: Callable[..., list[str]], does: str, fault: str
) -> None:
    """A transaction keeps its locks to its end, so that `NOT VALID` spares nothing in it."""
    (found,) = written(does, 'CONTRACTS = "7"')
    assert found.startswith(f"0002_next {fault}")


@pytest.mark.parametrize(
    "does",
    [
        _VALIDATED,
        f"{_ADDED}\n    with op.get_context().autocommit_block():\n        {_VALIDATED}",
        f"with op.get_context().autocommit_block():\n        {_FILLED}",
        f"{_GOODS}; op.execute('UPDATE goods SET a = 1')",
    ],
)
def test_what_takes_long_holds_no_locks(written: Callable[..., list[str]], does: str) -> None:
    assert written(does, 'CONTRACTS = "7"') == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from store.kit.schema import create_table, moment, of_tenant", []),
        ("from core.settings import get_settings", []),
        ("from sqlalchemy import Column", []),
        ("from store.pos.tables import pos_sales", ["store.pos.tables.pos_sales"]),
        ("from store.pos import tables", ["store.pos.tables"]),
        ("import store.pos.tables as t", ["store.pos.tables"]),
        ("from store.kit.schema import metadata", ["store.kit.schema.metadata"]),
        ("from actors.till.model import MAX_AMOUNT_MINOR", ["actors.till.model.MAX_AMOUNT_MINOR"]),
        ("    from core.ids import uuid7", ["core.ids.uuid7"]),
    ],
)
def test_a_migration_imports_no_model_of_today(line: str, found: list[str]) -> None:
    """What a migration made stays what it was, whatever becomes of the tables."""
    assert list(foreign_imports(f"def upgrade():\n    pass\n{line}\n")) == found


def test_a_migration_that_imports_a_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.kit.expanding._FROZEN", re.compile("core").match)
    found = rule_breaks()
    assert any("imports store.kit.schema.create_table, which will be another" in f for f in found)


def test_ours_are_borne() -> None:
    assert rule_breaks() == []
    assert (Path(store.__path__[0]) / "migrations" / "README.md").exists()
