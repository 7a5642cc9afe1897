"""Switches that turn one mechanism off: simulated lives must then break promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors.runtime.agenda import Agenda
from actors.runtime.host import Host
from actors.runtime.mailbox import Mailbox
from actors.runtime.memory import Memory
from actors.runtime.tenure import Tenure
from tests.sim.database import SimDatabase, Transaction
from tests.sim.store import SimStore

Mutation = Callable[[pytest.MonkeyPatch], None]


def _nothing(*arguments: Any, **options: Any) -> None:
    return None


async def _nothing_async(*arguments: Any, **options: Any) -> None:
    return None


def proof_off(patch: pytest.MonkeyPatch) -> None:
    """Commits do not prove the epochs, nor hold them."""

    def prove(self: SimDatabase, session: Any, epochs: Any) -> None:
        session.transaction = Transaction()

    patch.setattr(SimDatabase, "prove", prove)


def lease_off(patch: pytest.MonkeyPatch) -> None:
    """A host answers whether or not its lease is valid."""
    patch.setattr(Tenure, "valid", True)


def log_unread(patch: pytest.MonkeyPatch) -> None:
    """Repeated commands are not looked up."""

    async def known(self: SimStore, command_ids: Any) -> dict[Any, Any]:
        return {}

    patch.setattr(SimStore, "known", known)


def answers_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A host forgets what it answered, and what it is about to answer."""
    patch.setattr(Mailbox, "known", _nothing)


def memory_kept(patch: pytest.MonkeyPatch) -> None:
    """After an unknown outcome, or a shard that went and came, memory is trusted."""
    patch.setattr(Memory, "drop", _nothing)


def recovery_epochs_off(patch: pytest.MonkeyPatch) -> None:
    """After an unknown outcome a host goes on under the same epochs."""
    patch.setattr(SimDatabase, "raise_epochs", _nothing_async)


def answers_first(patch: pytest.MonkeyPatch) -> None:
    """Answers, and then commits."""
    write = Host._write

    async def hasty(self: Host, decided: Any) -> None:
        self._answer(decided)
        await write(self, decided)

    patch.setattr(Host, "_write", hasty)


def floor_off(patch: pytest.MonkeyPatch) -> None:
    """A successor does not ask how far the decisions of the owner before it had come."""
    take = Tenure.take

    def forgetful(self: Tenure, shards: Any, owned: Any) -> None:
        take(self, shards, owned)
        self._decided_at_ms = 0

    patch.setattr(Tenure, "take", forgetful)


def tenure_unchecked(patch: pytest.MonkeyPatch) -> None:
    """A call that was sent to an earlier tenure is decided all the same."""
    serves = Host._serves
    patch.setattr(Host, "_serves", lambda self, shard, epoch: serves(self, shard, 0))


def timers_lost(patch: pytest.MonkeyPatch) -> None:
    """A host does not look for what falls due, only at what it decided itself."""
    patch.setattr(Host, "_look_ahead", _nothing_async)
    patch.setattr(Agenda, "behind", lambda *arguments: [])


ALL: tuple[Mutation, ...] = (
    proof_off,
    lease_off,
    log_unread,
    answers_forgotten,
    memory_kept,
    recovery_epochs_off,
    answers_first,
    floor_off,
    tenure_unchecked,
    timers_lost,
)
