"""Switches that turn one mechanism off: simulated lives must then break promises.

The lease and the floor of decision times are missed too seldom for this: `tests/runtime` catches
them with stops at chosen points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors.runtime.agenda import Agenda
from actors.runtime.family import Unloaded
from actors.runtime.host import Host
from actors.runtime.memory import Memory, Working
from actors.runtime.ownership import Ownership
from tests.runtime.sabotage import answers_first, memory_of_answers_off
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


def log_unread(patch: pytest.MonkeyPatch) -> None:
    """Repeated commands are not looked up."""

    async def known(self: SimStore, command_ids: Any) -> dict[Any, Any]:
        return {}

    patch.setattr(SimStore, "known", known)
    patch.setattr(SimDatabase, "_ask", _nothing)


def memory_kept(patch: pytest.MonkeyPatch) -> None:
    """After an unknown outcome, or a shard that went and came, memory is trusted."""
    patch.setattr(Memory, "drop", _nothing)


def recovery_epochs_off(patch: pytest.MonkeyPatch) -> None:
    """After an unknown outcome a host goes on under the same epochs."""
    patch.setattr(SimDatabase, "raise_epochs", _nothing_async)


def tenure_unchecked(patch: pytest.MonkeyPatch) -> None:
    """A call that was sent to an earlier tenure is decided all the same."""
    serves = Host._serves
    patch.setattr(Host, "_serves", lambda self, shard, epoch: serves(self, shard, 0))


def timers_lost(patch: pytest.MonkeyPatch) -> None:
    """A host does not look for what falls due, only at what it decided itself."""
    patch.setattr(Ownership, "look_ahead", _nothing_async)
    patch.setattr(Agenda, "behind", lambda *arguments: [])


def unloaded_is_absent(patch: pytest.MonkeyPatch) -> None:
    """What a view was not given to know is taken for what is not there."""
    get = Working.get

    def lenient(self: Working, key: Any) -> Any:
        try:
            return get(self, key)
        except Unloaded:
            return None

    patch.setattr(Working, "get", lenient)


ALL: tuple[Mutation, ...] = (
    proof_off,
    log_unread,
    memory_of_answers_off,
    memory_kept,
    recovery_epochs_off,
    answers_first,
    tenure_unchecked,
    timers_lost,
    unloaded_is_absent,
)
