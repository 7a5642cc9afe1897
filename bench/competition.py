"""The competition: rounds, contenders, scenarios, and a check of the books after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import asyncpg
import httpx2
from rich.console import Console

from bench import books, goods, load, sale_books, table
from bench.contenders import HOLDFAST, Contender, NotReady, Running, contender_settings, serving
from bench.cpu import CpuClock
from bench.ground import Ground
from bench.growth import Growth
from bench.report import Sample
from core.clock import SystemClock
from core.principal import Role
from gateway.keys import KeyRing
from gateway.tokens import Tokens

_BREAKS = (
    NotReady,
    books.NotExact,
    load.NoLoad,
    httpx2.HTTPError,
    asyncpg.PostgresError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. The connections are those of `wrk`; `engine_calls` are how many calls
    of the shard host are under way, one row of its table for each; lists are read from tables of
    `list_rows` rows. Beside each culprit a neighbour is measured for `neighbour_seconds`, with a
    ledger of `ledger_rows` lines. No growth without `growth`."""

    rounds: int
    warm_up_seconds: int
    seconds: int
    engine_seconds: float
    engine_calls: tuple[int, ...] = (1, 2)
    connections: int = 64
    commit_delay_us: int = 0
    scenarios: tuple[load.Scenario, ...] = load.SCENARIOS
    list_rows: int = 1_000_000
    neighbour_seconds: float = 10.0
    ledger_rows: int = 1_000_000
    growth: Growth | None = None


QUICK = Plan(
    rounds=2,
    warm_up_seconds=1,
    seconds=1,
    engine_seconds=0.3,
    engine_calls=(1,),
    list_rows=50_000,
    neighbour_seconds=2.0,
    ledger_rows=100_000,
    growth=Growth(seconds=0.3, rounds=2, products=100_000, tenants=100),
)
FULL = Plan(
    rounds=4,
    warm_up_seconds=2,
    seconds=6,
    engine_seconds=2.0,
    growth=Growth(seconds=2.0, rounds=3),
)


class _Ready(NamedTuple):
    """Holds granted while a scenario was prepared, and what was wrong with them."""

    granted: int
    fault: str | None = None


class Competition:
    """One run of everything. `samples` fills as it goes."""

    def __init__(self, plan: Plan, ground: Ground, home: Path, port: int, console: Console) -> None:
        self.samples: list[Sample] = []
        self._plan = plan
        self._ground = ground
        self._home = home
        self._port = port
        self._console = console
        settings = contender_settings(ground, home, port, ground.url("postgres"), HOLDFAST)
        tokens = Tokens(settings, KeyRing(settings), SystemClock())
        self._token = tokens.issue(goods.USER, Role.OWNER, goods.TENANT, goods.SESSION)

    def run(self, contenders: Sequence[Contender]) -> None:
        """Every round, every contender, every scenario. Each round begins with another one."""
        for number in range(self._plan.rounds if contenders else 0):
            shift = number % len(contenders)
            for contender in [*contenders[shift:], *contenders[:shift]]:
                try:
                    self._visit(contender, number)
                except _BREAKS as error:
                    # One that breaks must not cost what the others have shown.
                    self._break_off(contender, number, error)

    def _visit(self, contender: Contender, number: int) -> None:
        scenarios = list(self._scenarios(contender))
        if not scenarios:
            return
        with serving(contender, self._ground, self._home, self._port) as running:
            for scenario, keyed in scenarios:
                self._measure(running, number, scenario, keyed)
            if contender is HOLDFAST:
                self._compare_with_api(running)

    def _break_off(self, contender: Contender, number: int, error: Exception) -> None:
        fault = f"broke off: {type(error).__name__}: {error}"
        nothing = Sample(number, contender.name, "-", True, 0, 0, 0, 0, {}, fault)
        self.samples.append(nothing)
        self._console.print(f"[red]VOID: {contender.title} {fault}[/red]")

    def _scenarios(self, contender: Contender) -> Iterator[tuple[load.Scenario, bool]]:
        for scenario in self._plan.scenarios:
            if scenario in load.SALES and contender.durable_sale is None:
                continue
            yield scenario, True
            # Only Holdfast looks at keys; without one it need not look whether it knows the
            # command.
            if contender is HOLDFAST and scenario in ("hot", "spread"):
                yield scenario, False

    def _measure(self, running: Running, number: int, scenario: load.Scenario, keyed: bool) -> None:
        wanted = load.Load(
            scenario, keyed, f"{number}-{keyed:d}-{scenario.replace(' ', '-')}", number
        )
        check = self._open_books(running, wanted)
        ready = self._prepare(running, wanted)
        clock = CpuClock(running.groups)
        answers = self._load(running, wanted, self._plan.seconds)
        spent = clock.spent()
        fault = ready.fault or _fault(lambda: check(ready.granted + answers.granted))
        self._note(running, number, wanted, answers, spent, fault)

    def _open_books(self, running: Running, wanted: load.Load) -> Callable[[int], None]:
        """The books before a measurement. What it returns looks at them afterwards, given how
        many answers were a yes, and raises NotExact."""
        # At the end of each of two loads every connection has a request under way that nobody
        # waits for. Where the goods are sold out, those too must be refused.
        unheard = 0 if wanted.scenario == "sold out" else 2 * self._plan.connections
        ground = self._ground
        if wanted.sells:
            sales = sale_books.read(running, ground)
            return lambda granted: sale_books.check(
                sales, sale_books.read(running, ground), granted, unheard
            )
        holds = books.read(running, ground)
        return lambda granted: books.check(
            running, holds, books.read(running, ground), granted, unheard
        )

    def _prepare(self, running: Running, wanted: load.Load) -> _Ready:
        """Warms up; or sells the goods out, exactly."""
        if wanted.scenario == "sold out":
            fault = _fault(lambda: books.sell_out(running, self._token))
            return _Ready(goods.FEW, fault)
        warm_up = replace(wanted, run=f"warm-{wanted.run}", seed=wanted.seed + 1_000)
        # Of ten thousand products each one should have been met, by any process.
        longer = 3 if wanted.scenario in load.SPREAD else 1
        return _Ready(self._load(running, warm_up, longer * self._plan.warm_up_seconds).granted)

    def _note(
        self,
        running: Running,
        number: int,
        wanted: load.Load,
        answers: load.Answers,
        spent: dict[str, float],
        fault: str | None,
    ) -> None:
        sold_out = wanted.scenario == "sold out"
        proper = answers.refused if sold_out else answers.granted
        wrong = answers.granted if sold_out else answers.refused
        if fault is None and (wrong or not proper):
            fault = f"{proper} answers as they should be, {wrong} that should not be"
        sample = Sample(
            round=number,
            contender=running.contender.name,
            scenario=wanted.scenario,
            keyed=wanted.keyed,
            per_second=proper / answers.seconds,
            p50_ms=answers.p50_ms,
            p99_ms=answers.p99_ms,
            errors=answers.errors,
            cpu_us={part: seconds / max(proper, 1) * 1e6 for part, seconds in spent.items()},
            fault=fault,
        )
        self.samples.append(sample)
        self._console.print(
            f"round {number + 1}  {table.title(sample.row):34} {wanted.scenario:11}"
            f" {sample.per_second:8,.0f}/s  p99 {sample.p99_ms:6.1f} ms"
            + (f"  [red]VOID: {fault}[/red]" if fault else "")
        )

    def _load(self, running: Running, wanted: load.Load, seconds: int) -> load.Answers:
        connections = self._plan.connections
        return load.run(running.url, self._token, wanted, connections=connections, seconds=seconds)

    def _compare_with_api(self, running: Running) -> None:
        """Holdfast's own word on the hot product against the rows in the database."""
        fault = _fault(lambda: books.compare_with_api(running, self._ground))
        if fault:
            self.samples[-1] = replace(self.samples[-1], fault=fault)
            self._console.print(f"[red]VOID: {fault}[/red]")


def _fault(work: Callable[[], None]) -> str | None:
    try:
        work()
    except books.NotExact as error:
        return str(error)
    return None
