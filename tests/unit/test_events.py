"""Events: what travels is what it always was, and what is committed stays readable."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from core.events import KINDS, Event
from deployments import events
from deployments.events import Frozen, check_frozen

# One of each kind, as the database had it before events had classes.
GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden_events.json").read_text())
OURS = events.schemas()


def test_every_kind_has_its_golden_form() -> None:
    assert GOLDEN.keys() <= OURS.keys()
    assert "inventory.stock.low.v1" in OURS


@pytest.mark.parametrize("kind", sorted(GOLDEN))
def test_an_event_travels_in_its_golden_form(kind: str) -> None:
    """Everything that was in it is, nothing else, and under the same names; what it may say since
    then is left out where there is nothing to say."""
    event = msgspec.convert(GOLDEN[kind], KINDS[kind], strict=False)
    assert event.kind == kind
    assert json.loads(event.json) == GOLDEN[kind]
    assert set(OURS[kind]["required"]) == GOLDEN[kind].keys()


def test_classes_stand_in_modules_of_their_name() -> None:
    for kind in OURS:
        module = KINDS[kind].__module__
        assert module.endswith(".events"), module
        assert module in sys.modules


@pytest.mark.parametrize(
    "kind",
    [
        "inventory.stock.low",
        "inventory.low.v1",
        "Inventory.stock.low.v1",
        "inventory.stock.low.v0",
        "inventory.stock.low.v1 ",
        "inventory.stock.very.low.v1",
    ],
)
def test_a_kind_says_domain_noun_verb_and_version(kind: str) -> None:
    with pytest.raises(ValueError, match="is not like domain"):
        type("Odd", (Event,), {}, kind=kind)  # type: ignore[call-overload]
    assert kind not in KINDS


def test_a_kind_belongs_to_one_class() -> None:
    class Once(Event, kind="test.kind.taken.v1"):
        pass

    with pytest.raises(ValueError, match=r"test\.kind\.taken\.v1 is .*Once already"):

        class Twice(Event, kind="test.kind.taken.v1"):
            pass

    assert KINDS["test.kind.taken.v1"] is Once
    assert "test.kind.taken.v1" not in events.schemas(), "a test's is nobody's business"


def test_an_event_does_not_change() -> None:
    event = KINDS["auth.invitation.revoked.v1"](id=UUID(int=1))
    with pytest.raises(AttributeError):
        event.id = UUID(int=2)  # type: ignore[attr-defined]


def test_the_committed_schemas_are_current() -> None:
    assert events.is_current()


SALE = "pos.sale.completed.v1"


def _removed(now: dict[str, Any]) -> None:
    del now[SALE]["properties"]["customerId"]


def _gone(now: dict[str, Any]) -> None:
    del now[SALE]


def _retyped(now: dict[str, Any]) -> None:
    now[SALE]["properties"]["totalMinor"] = {"type": "string"}


def _part_changed(now: dict[str, Any]) -> None:
    del now[SALE]["$defs"]["SoldLine"]["properties"]["quantity"]


def _optional(now: dict[str, Any]) -> None:
    now[SALE]["required"].remove("currency")


def _mandatory(now: dict[str, Any]) -> None:
    now[SALE]["properties"]["till"] = {"type": "string"}
    now[SALE]["required"].append("till")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_removed, r"v1\.customerId is gone"),
        (_gone, r"v1 is gone"),
        (_retyped, r"v1\.totalMinor is something else"),
        (_part_changed, r"SoldLine\.quantity is gone"),
        (_optional, r"v1\.currency may be absent"),
        (_mandatory, r"v1\.till is new and has no default"),
    ],
)
def test_what_is_committed_is_frozen(change: Callable[[dict[str, Any]], None], why: str) -> None:
    now = copy.deepcopy(OURS)
    change(now)
    with pytest.raises(Frozen, match=f"{why}.*next version"):
        check_frozen(OURS, now)


def test_a_kind_may_be_new_and_gain_what_has_a_default() -> None:
    now = copy.deepcopy(OURS)
    now["pos.sale.completed.v2"] = now[SALE]
    now[SALE]["properties"]["till"] = {"type": "string", "default": ""}
    now[SALE]["description"] = "In other words."
    check_frozen(OURS, now)


def test_writing_does_not_get_around_the_freeze(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = tmp_path / "events.json"
    wider = copy.deepcopy(OURS)
    wider[SALE]["properties"]["once"] = {"type": "string"}
    committed.write_text(json.dumps(wider))
    monkeypatch.setattr(events, "COMMITTED", committed)
    for touch in (events.write, events.is_current):
        with pytest.raises(Frozen, match="once is gone"):
            touch()
    assert json.loads(committed.read_text()) == wider
