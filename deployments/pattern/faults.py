"""What checks find, and what capabilities say of it where it is right all the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Fault(NamedTuple):
    """`name` is by what a capability may exempt it: "POST /api/pos/quotes: key"."""

    name: str
    text: str


def unexempted(faults: Iterable[Fault], exempt: Mapping[str, str]) -> list[str]:
    """What is wrong and no capability gives a reason for; and reasons for what is not there."""
    found = list(faults)
    lines = [f"{name} - {text}" for name, text in found if name not in exempt]
    stale = [
        f"`exempt` of a capability.py gives a reason for {name!r}, which is not wrong: take it out"
        for name in exempt.keys() - {name for name, _ in found}
    ]
    return lines + sorted(stale)
