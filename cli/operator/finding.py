"""What the doctor says of one thing that it looked at."""

from __future__ import annotations

from typing import Literal, NamedTuple

Verdict = Literal["well", "wrong", "unknown"]


class Finding(NamedTuple):
    """What was found of one subject. `advice` is what to do about it, if anything is."""

    subject: str
    verdict: Verdict
    said: str
    advice: str = ""
