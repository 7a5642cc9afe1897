"""What the demo measures, stage by stage, and what it reports at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from cli.data.product_rows import Reject
from cli.demo.documents import Units
from cli.demo.proof import Proof


class Show(Protocol):
    """Is told how far a stage is; `note` is a line for people."""

    def __call__(self, stage: str, done: int, total: int, note: str) -> None: ...


def show_nothing(stage: str, done: int, total: int, note: str) -> None:
    """For those who only want the report."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Figures of one stage.

    Latencies and rate are of all sales but those by a card that the sandbox is silent on: in
    milliseconds from the first try to the answer, so outages are in them, and up to the last.
    Cards were `settled_later` whose outcome was unknown at first, and `declined` that came to
    nothing.
    `repeated` requests were sent again because their outcome was unknown: `errors` of them after
    a 5xx, the others after no answer of the API's. `waited` were sent again because a rate limit
    asked for patience; `hung_up` and `sent_twice` on purpose.
    """

    name: str
    sales: int
    returns: int
    units: Units
    seconds: float
    sales_per_second: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    refused: int
    declined: int
    settled_later: int
    repeated: int
    errors: int
    waited: int
    hung_up: int
    sent_twice: int


@dataclass(slots=True)
class Meter:
    """Counts while a stage runs; latencies in seconds."""

    name: str
    latencies: list[float] = field(default_factory=list)
    sales: int = 0
    units: Units = 0
    returns: int = 0
    refused: int = 0
    declined: int = 0
    settled_later: int = 0
    hung_up: int = 0
    sent_twice: int = 0
    began: float = field(default_factory=time.monotonic)
    _last: float = 0.0

    def sold(self, units: Units) -> None:
        """A sale is acknowledged, however long it took."""
        self.sales += 1
        self.units += units

    def timed(self, began: float) -> None:
        """One that was asked for at `began`, monotonic seconds, is acknowledged now."""
        self._last = time.monotonic()
        self.latencies.append(self._last - began)

    @property
    def rate(self) -> float:
        """Sales per second, up to the last that was timed."""
        return len(self.latencies) / max(self._last - self.began, 1e-3)

    @property
    def note(self) -> str:
        return f"{self.sales} at {self.rate:.0f}/s, {self.refused} refused"

    def phase(self, repeated: int, errors: int, waited: int) -> Phase:
        """The figures as of now."""
        ordered = sorted(self.latencies)
        return Phase(
            name=self.name,
            sales=self.sales,
            returns=self.returns,
            units=self.units,
            seconds=round(time.monotonic() - self.began, 3),
            sales_per_second=round(self.rate, 1),
            p50_ms=percentile_ms(ordered, 0.50),
            p99_ms=percentile_ms(ordered, 0.99),
            longest_ms=percentile_ms(ordered, 1.0),
            refused=self.refused,
            declined=self.declined,
            settled_later=self.settled_later,
            repeated=repeated,
            errors=errors,
            waited=waited,
            hung_up=self.hung_up,
            sent_twice=self.sent_twice,
        )


def percentile_ms(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted seconds, in milliseconds; 0 of nothing."""
    if not ordered:
        return 0.0
    rank = max(1, -(-len(ordered) * round(share * 1000) // 1000))
    return round(ordered[rank - 1] * 1000, 1)


@dataclass(slots=True)
class Report:
    """What a run of the demo found. `ok` is what counts. `email` and `password` sign in to the
    business that it made."""

    run: str
    url: str
    email: str
    password: str
    clients: int
    registers: int
    products: int = 0
    invoices: int = 0
    cancellations: int = 0
    rounds: int = 0
    rejects: list[Reject] = field(default_factory=list)
    renamed: dict[str, list[str]] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    proof: Proof = field(default_factory=Proof)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.proof.holds

    def as_json(self) -> dict[str, Any]:
        """For machines; without the password."""
        found = asdict(self)
        del found["password"]
        found["rejects"] = [
            {"line": reject.line, "reason": reject.reason} for reject in self.rejects
        ]
        return {"ok": self.ok, **found}
