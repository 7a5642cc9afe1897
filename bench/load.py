"""The load: `wrk`, one thread, a fixed number of connections that each wait for their answer."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench import goods

Goods = Literal["hot", "spread", "sold out"]

_SCRIPT = Path(__file__).with_name("reserve.lua")
_PATH = "/api/inventory/reserve"
_RANGES: dict[Goods, tuple[int, int]] = {
    "hot": (goods.HOT, 1),
    "spread": (goods.FIRST_OF_MANY, goods.MANY),
    "sold out": (goods.SOLD_OUT, 1),
}


class NoLoad(RuntimeError):
    """`wrk` is missing or failed."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask for. `keyed` sends an Idempotency-Key, a new one each time; `run` makes the
    keys of one run differ from those of the others."""

    goods: Goods
    keyed: bool
    run: str
    seed: int


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
    first, count = _RANGES[load.goods]
    prefix = f"{load.run}-" if load.keyed else ""
    arguments = [token, goods.PRODUCT_PREFIX, str(first), str(count), str(load.seed), prefix]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(_SCRIPT), base_url + _PATH, "--", *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    except subprocess.TimeoutExpired as error:
        raise NoLoad(f"wrk did not end: {error}") from error
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    if result.returncode or not lines:
        raise NoLoad(f"wrk failed: {result.stdout}{result.stderr}")
    return Answers(**json.loads(lines[-1]))
