"""The shard host alone: no HTTP, no Ray; calls of many commands as replicas send them, durable.

A call is what `HostActor.submit` does: envelopes are decoded, decided, committed with their ledger,
command log and outbox, and the answers encoded.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import uvloop

from actors.families import decode_reply, encode_command
from actors.runtime.call import Calls
from actors.runtime.host import Host
from actors.runtime.wire import (
    Answer,
    Envelope,
    Outcome,
    decode_envelopes,
    decode_partial_answers,
    encode,
)
from actors.stock import model as m
from bench import goods
from bench.ground import Ground
from bench.shards import envelope, serving, warm
from core.ids import uuid7
from core.settings import Settings

CALL_SIZES = (1, 10, 100, 500)
ONE, SPREAD = "one", "10,000 products"
# Commands per second at calls of 500.
GOALS = {ONE: 40_000, SPREAD: 25_000}
_DATABASE = "bench_engine"
# Commands that are made ready per second of measuring, by call size: a run that has used them up
# ends early.
_READY = {1: 6_000, 10: 40_000, 100: 100_000, 500: 120_000}


@dataclass(frozen=True, slots=True)
class EngineRun:
    """`in_flight` calls of `call_size` commands each were kept under way. `cpu_seconds` are the
    host's, without Postgres."""

    goods: str
    call_size: int
    in_flight: int
    commands: int
    seconds: float
    cpu_seconds: float

    @property
    def commands_per_second(self) -> float:
        return self.commands / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time of the host per command, in microseconds."""
        return self.cpu_seconds / self.commands * 1e6

    def as_json(self) -> dict[str, Any]:
        rates = {"per_second": round(self.commands_per_second), "cpu_us": round(self.cpu_us, 1)}
        return asdict(self) | rates


def measure(ground: Ground, seconds: float, calls: Iterable[int]) -> list[EngineRun]:
    """Every call size, hot and spread, with each number of `calls` under way. Raises WrongBooks
    if the database does not hold what was answered."""
    runs: list[EngineRun] = []
    for many in (False, True):
        for in_flight in calls:
            for size in CALL_SIZES:
                url = ground.fresh(_DATABASE, "holdfast")
                settings = Settings.model_validate({"database_url": url})
                work = _measure(settings.host_database_url, many, size, in_flight, seconds)
                run = uvloop.run(work)
                _audit(ground, run)
                runs.append(run)
    ground.drop(_DATABASE)
    return runs


class WrongBooks(Exception):
    """Answers and database disagree: the figure counts for nothing."""


def _audit(ground: Ground, run: EngineRun) -> None:
    async def count(connection: Any) -> tuple[int, ...]:
        return tuple(
            await connection.fetchrow(
                "SELECT (SELECT sum(reserved) FROM stock_levels),"
                " (SELECT count(*) FROM reservations),"
                " (SELECT count(*) FROM stock_movements WHERE kind = 'reserved'),"
                " (SELECT count(*) FROM command_log)"
            )
        )

    found = ground.run(_DATABASE, count)
    if set(found) != {run.commands}:
        raise WrongBooks(f"{run.commands} commands were answered, the database has {found}")


async def _measure(url: str, many: bool, size: int, in_flight: int, seconds: float) -> EngineRun:
    async with serving(url) as host:
        await warm(host, goods.TENANT, (product for product, _ in goods.opening_stock()))
        blobs = [_call(many, size) for _ in range(int(_READY[size] * seconds) // size)]
        cpu = time.process_time()
        answered, spent = await drive(host, blobs, in_flight, seconds)
        cpu = time.process_time() - cpu
        name = SPREAD if many else ONE
        return EngineRun(name, size, in_flight, answered, spent, cpu)


async def drive(
    host: Host, blobs: Sequence[bytes], in_flight: int, seconds: float
) -> tuple[int, float]:
    """Commands answered, all of them with a hold, and in what time."""
    waiting = iter(blobs)
    started = time.perf_counter()
    until = started + seconds
    answered, served = 0, Calls()

    async def calls() -> None:
        nonlocal answered
        for blob in waiting:
            part = decode_partial_answers(await served.first(host.take(decode_envelopes(blob))))
            answered += _held(part.answers)
            while part.more:
                part = decode_partial_answers(await served.more(part.more))
                answered += _held(part.answers)
            if time.perf_counter() >= until:
                return

    await asyncio.gather(*(calls() for _ in range(in_flight)))
    return answered, time.perf_counter() - started


def _held(answers: Sequence[tuple[int, Answer]]) -> int:
    """How many answers there are. Looks into the first one: it must be a hold."""
    first = answers[0][1]
    if first.outcome is not Outcome.DONE or not isinstance(decode_reply(first.reply), m.Hold):
        raise WrongBooks(f"expected a hold, was answered {first}")
    return len(answers)


def _call(many: bool, size: int) -> bytes:
    return encode([_reserve(many) for _ in range(size)])


def _reserve(many: bool) -> Envelope:
    number = goods.FIRST_OF_MANY + random.randrange(goods.MANY) if many else goods.HOT
    hold = m.Reserve(uuid7(), (m.Line(goods.product_id(number), 1),), 86_400_000)
    return envelope(goods.TENANT, str(goods.USER), encode_command(hold))
