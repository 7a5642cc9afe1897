"""Deciding a batch: pure and without an await, so that nothing interleaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from actors.runtime.family import Change, Context, Family, Key, Timer
from actors.runtime.memory import Working
from actors.runtime.wire import (
    MAX_RECEIPTS,
    Answer,
    Envelope,
    LoggedReply,
    Outcome,
    Receipt,
    encode,
)
from core.telemetry import get_logger
from store.journal import Logged
from store.leases import Shard

log = get_logger("runtime.batch")

_NO_COMMAND = UUID(int=0)


@dataclass(slots=True, eq=False)
class Work:
    """One command on its way: a caller's (with its envelope, and where the answer goes), or a
    shard's own timer (with neither). `context` is set when its batch begins."""

    family: Family
    shard: Shard
    command: Any
    envelope: Envelope | None = None
    waiter: asyncio.Future[Answer] | None = None
    context: Context = field(init=False)

    @property
    def label(self) -> str:
        return self.family.rules.label(self.command)

    @property
    def is_mutation(self) -> bool:
        """Whether a caller asked for a change, which its command id identifies."""
        return self.envelope is not None and not self.envelope.read


def context_of(envelope: Envelope, now_ms: int) -> Context:
    """What a decision knows of who asks."""
    return Context(
        envelope.shard,
        envelope.tenant_id,
        envelope.principal,
        envelope.command_id,
        envelope.arrived_ms,
        now_ms,
    )


def due_work(family: Family, shard: Shard, timer: Timer, now_ms: int) -> Work:
    """What a shard gives itself to do when a timer has fallen due."""
    work = Work(family, shard, timer.command)
    work.context = Context(shard.number, timer.tenant_id, "holdfast", _NO_COMMAND, now_ms, now_ms)
    return work


class Verdict(NamedTuple):
    """`written`: the answer is in the command log, so it is true whoever owns the shard."""

    work: Work
    answer: Answer
    written: bool


@dataclass(slots=True)
class Decided:
    """What came of a batch: the answers, and what must be written before they are given."""

    verdicts: list[Verdict] = field(default_factory=list)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    log: list[Logged] = field(default_factory=list)
    timers: list[tuple[Shard, Timer]] = field(default_factory=list)
    shards: set[Shard] = field(default_factory=set)

    @property
    def writes(self) -> bool:
        return bool(self.changes or self.log)


def missing_keys(works: Iterable[Work], view: Working) -> dict[Family, list[Key]]:
    """What the batch needs and memory lacks, by family; without repeats, in order."""
    needed: dict[Family, dict[Key, None]] = {}
    for work in works:
        for key in work.family.rules.keys(work.command, work.context, view):
            if key not in view:
                needed.setdefault(work.family, {})[key] = None
    return {family: list(keys) for family, keys in needed.items()}


def decide_batch(works: Sequence[Work], view: Working, epochs: Mapping[Shard, int]) -> Decided:
    """Decides each work in order, on top of what those before it did."""
    decided = Decided()
    for work in works:
        try:
            _decide(work, view, epochs, decided)
        except Exception:
            # A rule that breaks is our bug; its caller alone is told, its neighbours go on.
            log.exception("rule failed", command=work.label)
            decided.verdicts.append(Verdict(work, Answer(Outcome.REJECTED), False))
    return decided


def _decide(work: Work, view: Working, epochs: Mapping[Shard, int], decided: Decided) -> None:
    rules = work.family.rules
    decision = rules.decide(view, work.command, work.context)
    states: dict[Key, Any] = {}
    changes = []
    for key, event in decision.events:
        before = states[key] if key in states else view.get(key)
        after = rules.evolve(before, event)
        states[key] = after
        changes.append(Change(key, event, before, after, work.context))
    receipts = tuple(
        Receipt(
            key.name,
            rules.sequence(states[key] if key in states else view.get(key)),
            epochs[work.shard],
        )
        for key in decision.touched[:MAX_RECEIPTS]
    )
    answer = Answer(Outcome.DONE, rules.encode(decision.reply), receipts)
    timers = [(work.shard, timer) for change in changes for timer in rules.timers(change)]
    written = work.is_mutation and not decision.refused
    # A yes that changed nothing is logged too: its key must keep giving this answer.
    lines = [_log_line(work.envelope, answer)] if work.envelope is not None and written else []
    # From here on nothing can fail: either all of a command happens, or nothing.
    for key, state in states.items():
        view.change(key, state)
    if changes:
        decided.changes.setdefault(work.family.name, []).extend(changes)
    if changes or lines:
        decided.shards.add(work.shard)
    decided.timers.extend(timers)
    decided.log.extend(lines)
    decided.verdicts.append(Verdict(work, answer, written))


def _log_line(envelope: Envelope, answer: Answer) -> Logged:
    reply = encode(LoggedReply(answer.reply, answer.receipts))
    return Logged(envelope.command_id, envelope.tenant_id, envelope.fingerprint, reply)
