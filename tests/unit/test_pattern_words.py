"""One word per thing: a name that has another word is found, and a thing that is not its `id`."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.pattern.words import BANNED
from tests.unit.test_pattern import Lines, lines
from tests.unit.test_pattern_routes import found, making, reading

__all__ = ["lines"]

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
ONE = """
from fastapi import Path


class Shown(CamelModel):
    {shown}: UUID


@router.{method}("{path}", summary="Show", responses=responses(NotFound))
async def show(
    shared: Shared, principal: Staff, {name}: Annotated[UUID, Path(alias="{alias}")]
) -> Envelope[Shown]:
    return {{}}
"""


def one(shown: str, segment: str = "orders", alias: str = "orderId", method: str = "get") -> str:
    path = f"/{segment}/{{{alias}}}"
    return ONE.format(shown=shown, method=method, path=path, name="order_id", alias=alias)


@pytest.mark.parametrize("name", ["item_id", "variant_id", "tax_rate_ppm", "cashier", "rate"])
def test_a_name_that_has_another_word(lines: Lines, name: str) -> None:
    [line] = found(lines, reading(shown=f"{name}: str"))
    assert ": word - is called otherwise: write" in line


def test_a_parameter_that_has_another_word(lines: Lines) -> None:
    complaints = found(lines, one("id", "sales", "itemId"))
    assert [line for line in complaints if "itemId: word - is called otherwise" in line]


@pytest.mark.parametrize(
    "text",
    [one("order_id"), one("number", "levels"), one("tax_class_id", "tax-classes", "taxClassId")],
)
def test_a_thing_that_is_not_called_id(lines: Lines, text: str) -> None:
    [line] = found(lines, text)
    assert ": id - answers Shown, which does not call the thing itself `id`" in line


def test_a_list_of_things_that_are_not_called_id(lines: Lines) -> None:
    listed = reading(shown="order_id: UUID", returns="Page[Shown]").replace(
        '"/things"', '"/orders"'
    )
    complaints = found(lines, one("id").replace("Shown", "Whole").replace("show(", "get(") + listed)
    assert [line for line in complaints if "GET /api/things/orders: id" in line]


@pytest.mark.parametrize("text", [one("id"), one("order_id", "levels")])
def test_a_thing_that_is_called_as_it_should_be(lines: Lines, text: str) -> None:
    assert found(lines, text) == []


def test_the_glossary_names_what_is_not_written() -> None:
    text = GLOSSARY.read_text()
    assert [name for name in BANNED if f"`{name}`" not in text] == []


def test_what_makes_a_thing_answers_its_id(lines: Lines) -> None:
    text = making().replace('"/things"', '"/things", status_code=201')
    [line] = found(lines, text)
    assert "POST /api/things/things: id - answers ThingOut" in line
