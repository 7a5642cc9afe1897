"""Deciding a batch: pure and without an await, so that nothing interleaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import replace

from actors.runtime.family import Change, Context, Family, Key, Timer, Unloaded, View
from actors.runtime.memory import Memory, Working
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
from store.hosts.command_log import Logged
from store.hosts.leases import Shard

log = get_logger("runtime.batch")

_NO_COMMAND = UUID(int=0)
# Of what is decided until it is asked again whether to go on.
LOOK_WEIGHT = 32


OnAnswer = Callable[[Answer], None]
Lane = tuple[int, bool]


class Work(msgspec.Struct, eq=False):
    """One command on its way: a caller's (with its envelope), or a shard's own timer (without).

    `context` is that of its arrival until its batch begins. `epoch` is the tenure in which it was
    taken in: in another one it is not decided. `unsure`: it may have been decided before, so that
    its answer is given only after the command log has been asked. `look_up`: it has to be asked
    now. `lane` is where it waits: reads, which strangers may ask for, apart from what their tenant
    does. `lacks` are the aggregates that memory lacked when it was admitted, `questions` what it
    asks the store when its turn comes, `asked` the answers, and `undeclared_keys` what its rule
    asked for and its `keys` did not name."""

    family: Family
    shard: Shard
    command: Any
    context: Context
    epoch: int
    envelope: Envelope | None = None
    listeners: list[OnAnswer] = []
    unsure: bool = False
    look_up: bool = False
    answered: bool = False
    weight: int = 0
    rounds: int = 0
    lane: Lane = (0, False)
    keys: list[Key] = []
    asked: dict[Key, Any] = {}
    questions: list[Key] = []
    lacks: list[Key] = []
    undeclared_keys: list[Key] = []

    def __post_init__(self) -> None:
        envelope = self.envelope
        self.lane = lane(self.context.tenant_id, envelope is not None and envelope.read)

    def join(self, envelope: Envelope, on_answer: OnAnswer) -> None:
        """A repeat of the command waits for the same answer: as long as the one of both who waits
        longer."""
        self.listeners.append(on_answer)
        if self.envelope is not None and envelope.deadline_ms > self.envelope.deadline_ms:
            self.envelope = replace(self.envelope, deadline_ms=envelope.deadline_ms)

    @property
    def label(self) -> str:
        return self.family.rules.label(self.command)

    @property
    def fingerprint(self) -> bytes:
        return b"" if self.envelope is None else self.envelope.fingerprint

    @property
    def is_mutation(self) -> bool:
        """Whether a caller asked for a change, which its command id identifies."""
        return self.envelope is not None and not self.envelope.read

    @property
    def is_to_fetch(self) -> bool:
        """Whether something has to be fetched for it before its turn comes."""
        return self.look_up or bool(self.lacks)

    def needs(self, memory: Memory) -> tuple[int, list[Key]]:
        """How many aggregates it touches, as far as can be seen, and which of them memory lacks.
        Raises whatever the rule raises."""
        view: View = Working(memory, self.asked) if self.asked else memory
        keys = self.keys = [*self.undeclared_keys]
        unknown: Key | None = None
        try:
            for key in self.family.rules.keys(self.command, self.context, view):
                keys.append(key)
        except Unloaded as error:
            unknown = error.key
        missing = [key for key in keys if not memory.touch(key) and key not in view]
        if unknown is not None and unknown not in missing:
            missing.append(unknown)
        return max(len(keys), 1), missing


def lane(tenant_id: UUID, read: bool) -> Lane:
    """The lane of what a tenant does, or of what is read of it."""
    return (tenant_id.int, read)


def context_of(envelope: Envelope, now_ms: int, arrived_ms: int) -> Context:
    """What a decision knows of its caller."""
    return Context(
        envelope.shard,
        envelope.tenant_id,
        envelope.principal,
        envelope.command_id,
        arrived_ms,
        now_ms,
    )


def due_work(
    family: Family, shard: Shard, timer: Timer, now_ms: int, epoch: int, on_answer: OnAnswer
) -> Work:
    """What a shard gives itself to do when a timer has fallen due."""
    context = Context(shard.number, timer.tenant_id, "holdfast", _NO_COMMAND, now_ms, now_ms)
    return Work(family, shard, timer.command, context, epoch, None, [on_answer])


class Verdict(NamedTuple):
    """`written`: the answer is in the command log, so it is true whichever host owns the shard."""

    work: Work
    answer: Answer
    written: bool


@dataclass(slots=True)
class Decided:
    """What came of a batch: the answers, and what must be written before they are given. `rest`
    was not looked at; `aside` are works for which something has to be loaded first."""

    verdicts: list[Verdict] = field(default_factory=list)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    log: list[Logged] = field(default_factory=list)
    timers: list[tuple[Shard, Timer]] = field(default_factory=list)
    shards: set[Shard] = field(default_factory=set)
    rest: list[Work] = field(default_factory=list)
    aside: list[Work] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        return bool(self.changes or self.log)


def decide_batch(
    works: Sequence[Work],
    view: Working,
    epochs: Mapping[Shard, int],
    goes_on: Callable[[], bool] = lambda: True,
) -> Decided:
    """Decides each work in order, on top of what those before it did, as long as `goes_on`, but
    one at least. What a rule asked for and nobody has loaded sets its work aside. What comes after
    a due work that is not decided waits for it."""
    decided = Decided()
    waiting: set[Lane] = set()
    weight = 0
    for number, work in enumerate(works):
        # To look at the clock costs as much as a small part of a decision.
        if weight >= LOOK_WEIGHT or (number and work.weight >= LOOK_WEIGHT):
            weight = 0
            if not goes_on():
                decided.rest.extend(works[number:])
                break
        weight += work.weight
        if waiting and work.lane in waiting:
            decided.rest.append(work)
            continue
        try:
            if work.asked:
                view.ask(work.asked)
            _decide(work, view, epochs, decided)
        except Unloaded as error:
            work.undeclared_keys.append(error.key)
            # Others may be decided before it comes again, so its questions are put anew.
            work.asked.clear()
            decided.aside.append(work)
            if work.envelope is None:
                waiting.add(work.lane)
        except Exception:
            # A rule that breaks is our bug; only its caller is answered so, its neighbours go on.
            log.exception("rule failed", command=work.label)
            decided.verdicts.append(Verdict(work, Answer(Outcome.BROKEN), False))
    return decided


def _decide(work: Work, view: Working, epochs: Mapping[Shard, int], decided: Decided) -> None:
    rules, shard, context = work.family.rules, work.shard, work.context
    decision = rules.decide(view, work.command, context)
    states: dict[Key, Any] = {}
    changes: list[Change] = []
    timers: list[tuple[Shard, Timer]] = []
    for key, event in decision.events:
        if key in states:
            before = states[key]
        elif type(event) in rules.creates and key not in view:
            before = None
        else:
            before = view.get(key)
        after = states[key] = rules.evolve(before, event)
        change = Change(key, event, before, after, context)
        changes.append(change)
        timers += [(shard, timer) for timer in rules.timers(change)]
    receipts = [
        Receipt(
            key.name,
            rules.sequence(states[key] if key in states else view.get(key)),
            epochs[shard],
        )
        for key in decision.touched[:MAX_RECEIPTS]
    ]
    answer = Answer(Outcome.DONE, rules.encode(decision.answer(view, states)), tuple(receipts))
    written = work.is_mutation and not decision.refused
    # A yes that changed nothing is logged too: its key must keep giving this answer.
    line = _log_line(work.envelope, answer) if work.envelope is not None and written else None
    # From here on nothing can fail: either all of a command happens, or nothing.
    if changes:
        view.change(states)
        decided.changes.setdefault(work.family.name, []).extend(changes)
        decided.timers += timers
    if line is not None:
        decided.log.append(line)
    if changes or line is not None:
        decided.shards.add(shard)
    decided.verdicts.append(Verdict(work, answer, written))


def _log_line(envelope: Envelope, answer: Answer) -> Logged:
    reply = encode(LoggedReply(answer.reply, answer.receipts))
    return Logged(envelope.command_id, envelope.tenant_id, envelope.fingerprint, reply)


def in_halves(works: Sequence[Work]) -> tuple[list[Work], list[Work]]:
    """Two parts of a batch, tenants kept together as far as they go: the works of one that is to
    blame soon stand alone."""
    first_seen: dict[UUID, int] = {}
    for work in works:
        first_seen.setdefault(work.context.tenant_id, len(first_seen))
    ordered = sorted(works, key=lambda work: first_seen[work.context.tenant_id])
    half = len(ordered) // 2
    return ordered[:half], ordered[half:]
