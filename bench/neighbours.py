"""Nobody else pays: what one tenant's single reserve takes on a host, while another one does the
worst that it may. No HTTP, no Ray; the host, its store and its database are the real ones."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import uvloop

from actors.families import encode_command
from actors.runtime.call import Calls
from actors.runtime.host import Host
from actors.runtime.wire import Answer, Outcome, decode_envelopes, decode_partial_answers, encode
from actors.stock import model as m
from bench import culprits, goods
from bench.culprits import CULPRITS, Culprit
from bench.ground import Ground
from bench.shards import envelope, serving, warm
from core.ids import uuid7
from core.settings import Settings

MAX_P99_MS = 250.0
_DATABASE = "bench_neighbours"
_PAUSE_SECONDS = 0.005
# Of the neighbour's, each of which waits for its own: a p99 is to be of more than a hundred.
_CALLERS = 4
# A caller that was turned away waits, as it was asked to.
_TURNED_AWAY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class NeighbourRun:
    """What the neighbour's reserves took, one of each caller at a time. `failed` of them heard
    anything but a hold. `answered` and `turned_away` are the culprit's commands. `tenure_kept`:
    the host served all of the time under the lease and the epochs that it began with."""

    culprit: str
    reserves: int
    failed: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    answered: int
    turned_away: int
    tenure_kept: bool

    @property
    def kept(self) -> bool:
        """The promise."""
        return self.p99_ms < MAX_P99_MS and not self.failed and self.tenure_kept

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"kept": self.kept}


@dataclass(slots=True)
class _Heard:
    """What was answered while it was measured."""

    waits_ms: list[float] = field(default_factory=list)
    failed: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)


def measure(ground: Ground, seconds: float, ledger: int) -> list[NeighbourRun]:
    """Beside nobody, and beside each culprit, for so long. The ledger has so many lines."""
    settings = Settings.model_validate({"database_url": ground.fresh(_DATABASE, "holdfast")})
    ground.run(_DATABASE, lambda connection: culprits.stock(connection, ledger))
    runs = []
    for culprit in CULPRITS:
        number = int(culprits.EXPIRED_PER_SECOND * seconds)
        if culprit.expires:
            ground.run(_DATABASE, partial(culprits.hold_until_now, number=number))
        ground.run("postgres", lambda connection: connection.execute("CHECKPOINT"))
        run = uvloop.run(_measure(settings.host_database_url, culprit, seconds))
        if culprit.expires:
            run = replace(run, answered=ground.run(_DATABASE, culprits.expired))
        runs.append(run)
    ground.drop(_DATABASE)
    return runs


async def _measure(url: str, culprit: Culprit, seconds: float) -> NeighbourRun:
    async with serving(url) as host:
        await warm(host, goods.TENANT, [goods.product_id(goods.HOT)])
        heard, epochs = _Heard(), host.epochs
        until = time.perf_counter() + seconds
        bodies = culprit.bodies()
        await asyncio.gather(
            *(_neighbour(host, heard, until) for _ in range(_CALLERS)),
            *(_calls(host, culprit, bodies, heard, until) for _ in range(culprit.calls)),
        )
        waits = sorted(heard.waits_ms)
        away = heard.outcomes[Outcome.BUSY] + heard.outcomes[Outcome.TOO_LATE]
        return NeighbourRun(
            culprit.name,
            len(waits),
            heard.failed,
            statistics.median(waits),
            waits[int(len(waits) * 0.99)],
            waits[-1],
            heard.outcomes.total() - away,
            away,
            host.holds_lease and host.epochs == epochs,
        )


async def _neighbour(host: Host, heard: _Heard, until: float) -> None:
    while (began := time.perf_counter()) < until:
        line = m.Line(goods.product_id(goods.HOT), 1)
        hold = encode_command(m.Reserve(uuid7(), (line,), 86_400_000))
        (answer,) = await host.submit([envelope(goods.TENANT, str(goods.USER), hold)])
        heard.waits_ms.append((time.perf_counter() - began) * 1000)
        heard.failed += answer.outcome is not Outcome.DONE
        await asyncio.sleep(_PAUSE_SECONDS)


async def _calls(host: Host, culprit: Culprit, bodies: Any, heard: _Heard, until: float) -> None:
    """Call after call, as a lane sends them. A caller that still waits at the end goes away."""
    served = Calls()
    while (left := until - time.perf_counter()) > 0:
        some = islice(bodies, culprit.call_size)
        blob = encode([envelope(culprits.TENANT, "bench", body) for body in some])
        try:
            async with asyncio.timeout(left):
                outcomes = [answer.outcome for answer in await _answers(host, served, blob)]
        except TimeoutError:
            return
        heard.outcomes.update(outcomes)
        if Outcome.BUSY in outcomes:
            await asyncio.sleep(_TURNED_AWAY_SECONDS)


async def _answers(host: Host, served: Calls, blob: bytes) -> list[Answer]:
    part = decode_partial_answers(await served.first(host.take(decode_envelopes(blob))))
    answers = [answer for _, answer in part.answers]
    while part.more:
        part = decode_partial_answers(await served.more(part.more))
        answers += [answer for _, answer in part.answers]
    return answers
