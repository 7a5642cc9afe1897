"""A struct of rules that may change, or is not exact, is found."""

from __future__ import annotations

import msgspec
import pytest

from deployments.pattern.structs import faults_of, unfit


class Good(msgspec.Struct, frozen=True):
    price_minor: int
    left_minor: int | None = None
    names: tuple[str, ...] = ()
    counts: dict[str, int] = {}


class Unfrozen(msgspec.Struct):
    drawn: int


class Inexact(msgspec.Struct, frozen=True):
    rate: float | None


class Priced(msgspec.Struct, frozen=True):
    price_minor: str


class Listed(msgspec.Struct, frozen=True):
    names: tuple[list[str], ...]


def test_ours_are_fit() -> None:
    assert list(unfit()) == []
    assert list(faults_of(Good)) == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Unfrozen, "Unfrozen: frozen - may be changed in place"),
        (Inexact, "Inexact.rate: float - is a float"),
        (Priced, "Priced.price_minor: minor - is in minor units"),
        (Listed, "Listed.names: frozen - is a list, which may be changed in place"),
    ],
)
def test_what_is_not(kind: type[msgspec.Struct], said: str) -> None:
    [fault] = faults_of(kind)
    assert f"{fault.name} - {fault.text}".startswith(said)
