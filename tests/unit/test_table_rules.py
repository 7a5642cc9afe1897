"""What a table has of another shape than all is found, and the message says what to write."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Uuid,
)

from deployments.capabilities import CAPABILITIES
from deployments.pattern import tables
from store.kit.schema import HISTORY, exempt, of_tenant
from store.kit.table_rules import breaks

ASKED = "SELECT 'counters' FROM counters WHERE used_location_id = :id"


def broken(*parts: Any, app: str = "SELECT, INSERT", uses: str = "") -> list[str]:
    columns = (Column("id", Uuid, primary_key=True), Column("tenant_id", Uuid))
    table = Table("counters", MetaData(), *columns, *parts, info=of_tenant(app=app))
    return [f"{name} - {text}" for name, text in breaks([table], [uses] if uses else [])]


def test_every_table_keeps_the_rules() -> None:
    assert list(tables.faults(CAPABILITIES)) == []


def test_what_keeps_a_location_is_missed_when_nobody_declares_it() -> None:
    names = {fault.name for fault in tables.faults(())}
    assert {"stock_levels.location_id: no_use", "pos_registers.location_id: no_use"} <= names


@pytest.mark.parametrize(
    "parts",
    [
        (Column("name", String(100)),),
        (Column("name", Text), CheckConstraint("char_length(name) <= 10")),
        (Column("kind", Text), CheckConstraint("kind IN ('a', 'b')")),
        (Column("code", Text), CheckConstraint("code ~ '^[0-9]{4}$'")),
        (Column("note", Text, info=exempt(no_bound="bounded by its body")),),
        (Column("location_id", Uuid, info=HISTORY),),
        (Column("deposit_minor", BigInteger),),
    ],
)
def test_what_keeps_them_is_not_complained_of(parts: Any) -> None:
    assert broken(*parts) == []


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((Column("location_id", Uuid),), "counters.location_id: no_use - names a location"),
        ((Column("to_location_id", Uuid),), "counters.to_location_id: no_use"),
        ((Column("place", Uuid, ForeignKey("locations.id")),), "counters.place: no_use"),
        ((Column("name", Text),), "counters.name: no_bound - takes text of any length"),
        ((Column("name", String),), "counters.name: no_bound"),
        ((Column("name", Text), CheckConstraint("name <> ''")), "counters.name: no_bound"),
        ((Column("deposit_minor", Uuid),), "counters.deposit_minor: no_float"),
        ((Column("deposit", Float),), "counters.deposit: no_float"),
        ((Column("rate", Numeric(5, 2)),), "counters.rate: no_float"),
        ((Column("name", String(9), info=exempt(no_bound="why")),), "is exempted, and not wrong"),
    ],
)
def test_what_breaks_them(parts: Any, said: str) -> None:
    [line] = broken(*parts)
    assert said in line


def test_a_location_that_is_asked_for_is_kept() -> None:
    assert broken(Column("location_id", Uuid), uses=ASKED) == []
    other = ASKED.replace("FROM counters", "FROM others")
    assert broken(Column("location_id", Uuid), uses=other)


def test_what_hosts_alone_write_is_bounded_by_commands() -> None:
    assert broken(Column("name", Text), app="SELECT") == []
