"""The load: `wrk`, one thread, a fixed number of connections that each wait for their answer."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bench import goods, tills

Scenario = Literal["hot", "spread", "sold out", "sale hot", "sale spread"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)
SALES: frozenset[Scenario] = frozenset({"sale hot", "sale spread"})
SPREAD: frozenset[Scenario] = frozenset({"spread", "sale spread"})

_SCRIPT = Path(__file__).with_name("load.lua")
_RESERVE, _SELL = "/api/inventory/reserve", "/api/pos/sales"
# The goods that are asked for: number of the first, how many.
_RANGES: dict[Scenario, tuple[int, int]] = {
    "hot": (goods.HOT, 1),
    "spread": (goods.FIRST_OF_MANY, goods.MANY),
    "sold out": (goods.SOLD_OUT, 1),
    "sale hot": (goods.FIRST_OF_MANY, tills.LINES),
    "sale spread": (goods.FIRST_OF_MANY, goods.MANY),
}


class NoLoad(RuntimeError):
    """`wrk` is missing or failed."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask for. `keyed` sends an Idempotency-Key, a new one each time; `run` makes the
    keys of one run differ from those of the others."""

    scenario: Scenario
    keyed: bool
    run: str
    seed: int

    @property
    def sells(self) -> bool:
        """Whether it asks for sales of three lines, and not for holds."""
        return self.scenario in SALES


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back in `seconds`. Latencies are wrk's, corrected for coordinated omission."""

    seconds: float
    granted: int
    refused: int
    unavailable: int
    other: int
    socket_errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    @property
    def errors(self) -> int:
        return self.unavailable + self.other + self.socket_errors


def need_wrk() -> None:
    """Raises NoLoad when `wrk` is not installed."""
    if shutil.which("wrk") is None:
        raise NoLoad("wrk is not installed: apt-get install wrk (macOS: brew install wrk)")


def run(base_url: str, token: str, load: Load, *, connections: int, seconds: int) -> Answers:
    """Keeps `connections` requests under way for `seconds`. Raises NoLoad."""
    first, count = _RANGES[load.scenario]
    prefix = f"{load.run}-" if load.keyed else ""
    arguments = [token, goods.PRODUCT_PREFIX, str(first), str(count), str(load.seed), prefix]
    if load.sells:
        arguments += [tills.REGISTER_PREFIX, str(tills.REGISTERS), str(tills.TENDERED)]
    path = _SELL if load.sells else _RESERVE
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(_SCRIPT), base_url + path, "--", *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    except subprocess.TimeoutExpired as error:
        raise NoLoad(f"wrk did not end: {error}") from error
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    if result.returncode or not lines:
        raise NoLoad(f"wrk failed: {result.stdout}{result.stderr}")
    return Answers(**json.loads(lines[-1]))
