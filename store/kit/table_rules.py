"""What every table keeps besides its wall: exact money, bounded text, and locations that are not
deleted under it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Float,
    Integer,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)

from store.kit.schema import wall_of


def breaks(tables: Iterable[Table], location_uses: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Where a table breaks a rule, and what to write instead. `location_uses` are the queries of
    all capabilities."""
    queries = list(location_uses)
    for table in tables:
        yield from _breaks_of_table(table)
        is_asked = any(re.search(rf"\b(FROM|JOIN)\s+{table.name}\b", query) for query in queries)
        for column in table.columns:
            broken = dict(_breaks(table, column, is_asked))
            reasons = column.info.get("exempt", {})
            for rule, text in broken.items():
                if rule not in reasons:
                    yield f"{table.name}.{column.name}: {rule}", text
            for rule in reasons.keys() - broken.keys():
                yield (
                    f"{table.name}.{column.name}: {rule}",
                    "is exempted, and not wrong: take it out",
                )


def _breaks(table: Table, column: Column[Any], is_asked: bool) -> Iterator[tuple[str, str]]:
    if _names_location(column) and not is_asked:
        yield (
            "no_use",
            "names a location, which could be deleted under it: give the table a column"
            ' `*used("used_location_id", ..., "locations", "location_id")`, and ask it in the'
            " `location_uses` of the capability, or say why not: `info=exempt(no_use=...)`",
        )
    if _is_anothers(table, column):
        yield (
            "no_tenant",
            "may refer to a row of another tenant, for foreign keys see through walls: refer by"
            ' `ForeignKeyConstraint(["tenant_id", ...], ["<table>.tenant_id", ...])`',
        )
    if isinstance(column.type, Float | Numeric):
        yield (
            "no_float",
            "is no whole number: money is minor units in a BigInteger, a rate millionths",
        )
    if column.name.endswith("_minor") and not isinstance(column.type, Integer):
        yield "no_float", "is in minor units, which are whole: BigInteger"
    if isinstance(column.type, String) and not _is_bounded(table, column):
        yield (
            "no_bound",
            "takes text of any length from a replica: `String(n)`, as its field has, or a"
            " CheckConstraint, or say what bounds it: `info=exempt(no_bound=...)`",
        )


def _breaks_of_table(table: Table) -> Iterator[tuple[str, str]]:
    wall = wall_of(table)
    if "tenant_id" not in table.columns:
        return
    if wall.app and not wall.rows:
        yield (
            f"{table.name}: no_wall",
            "has rows of tenants, and each may see those of all: `info=of_tenant(...)`",
        )
    uniques: list[Any] = [each for each in table.indexes if each.unique]
    uniques += [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    for unique in uniques:
        if not any(isinstance(column.type, Uuid) for column in unique.columns):
            yield (
                f"{table.name}: {unique.name}",
                "is unique over all tenants, so that one finds out what another has: begin it with"
                " `tenant_id`",
            )


def _is_anothers(table: Table, column: Column[Any]) -> bool:
    """Whether a column refers to a row that may be another tenant's, which no wall checks."""
    for constraint in table.foreign_key_constraints:
        target = constraint.referred_table
        if column.name not in constraint.column_keys or "tenant_id" not in target.columns:
            continue
        with_tenant = "tenant_id" in constraint.column_keys
        if not with_tenant and constraint.elements[0].column.name != "live_id":
            return True
    return False


def _names_location(column: Column[Any]) -> bool:
    if not isinstance(column.type, Uuid) or column.computed is not None:
        return False
    refers = {key.target_fullname for key in column.foreign_keys}
    return "locations.id" in refers or bool(re.search(r"(^|_)location_id$", column.name))


def _is_bounded(table: Table, column: Column[Any]) -> bool:
    """Or written by hosts alone, whose commands are made of bodies that were checked."""
    if column.type.length is not None or "INSERT" not in wall_of(table).app:  # type: ignore[attr-defined]
        return True
    checks = (each for each in table.constraints if isinstance(each, CheckConstraint))
    bounds = rf"\b{column.name}\b(\)| IN \(|.*\^.*\$)"
    return any(re.search(bounds, str(check.sqltext)) for check in checks)
