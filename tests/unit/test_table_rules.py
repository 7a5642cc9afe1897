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
    ForeignKeyConstraint,
    Index,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from deployments.capabilities import CAPABILITIES
from deployments.pattern import tables
from store.kit.schema import HISTORY, exempt, live_id, of_nobody, of_tenant, used
from store.kit.table_rules import breaks

ASKED = "SELECT 'counters' FROM counters WHERE used_location_id = :id"


def broken(
    *parts: Any, app: str = "SELECT, INSERT", uses: str = "", walled: bool = True
) -> list[str]:
    columns = (Column("id", Uuid, primary_key=True), Column("tenant_id", Uuid))
    tables = MetaData()
    Table("locations", tables, Column("id", Uuid))
    Table("products", tables, Column("id", Uuid), Column("tenant_id", Uuid), live_id())
    info = of_tenant(app=app) if walled else of_nobody(app=app)
    table = Table("counters", tables, *columns, *parts, info=info)
    return [f"{name} - {said}" for name, said in breaks([table], [uses] if uses else [])]


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
        (Column("name", String(9)), UniqueConstraint("tenant_id", "name")),
        (
            Column("product_id", Uuid),
            ForeignKeyConstraint(
                ["tenant_id", "product_id"], ["products.tenant_id", "products.id"]
            ),
        ),
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
        ((Column("name", String(9), unique=True),), "is unique over all tenants"),
        ((Column("name", String(9)), UniqueConstraint("name")), "is unique over all tenants"),
        (
            (Column("name", String(9)), Index("uq", text("lower(name)"), unique=True)),
            "counters: uq - is unique over all tenants",
        ),
        (
            (Column("product_id", Uuid, ForeignKey("products.id")),),
            "counters.product_id: no_tenant - may refer to a row of another tenant",
        ),
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


def test_what_is_used_is_referred_to_by_its_live_id() -> None:
    assert broken(Column("product_id", Uuid), *used("used", "true", "products", "product_id")) == []


def test_rows_of_tenants_have_a_wall() -> None:
    [line] = broken(walled=False)
    assert line.startswith("counters: no_wall - has rows of tenants, and each may see")
    assert broken(walled=False, app="") == []


def test_what_hosts_alone_write_is_bounded_by_commands() -> None:
    assert broken(Column("name", Text), app="SELECT") == []
