"""Switches that turn one mechanism off, so that the test which relies on it must fail."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from actors.runtime.committing import Committing
from actors.runtime.mailbox import Mailbox
from actors.runtime.memory import Working
from actors.runtime.tenure import Tenure
from store.hosts import batches, leases
from store.hosts.journal import HostStore

Sabotage = Callable[[pytest.MonkeyPatch], None]


async def _nothing(*arguments: Any) -> None:
    return None


def nothing(patch: pytest.MonkeyPatch) -> None:
    """All mechanisms as they are."""


def proof_off(patch: pytest.MonkeyPatch) -> None:
    """Commits without proving the epochs."""
    patch.setattr(batches, "PROOF", "")


def lease_off(patch: pytest.MonkeyPatch) -> None:
    """Answers whether or not the lease is valid."""
    patch.setattr(Tenure, "valid", True)


def termination_off(patch: pytest.MonkeyPatch) -> None:
    """A takeover leaves the old owner's connections alone."""
    patch.setattr(leases, "_terminate", _nothing)


def share_off(patch: pytest.MonkeyPatch) -> None:
    """The proof reads the epochs without holding them until the end of the transaction."""
    weaker = batches.PROOF.replace("FOR SHARE", "FOR KEY SHARE")
    assert weaker != batches.PROOF
    patch.setattr(batches, "PROOF", weaker)


def guard_off(patch: pytest.MonkeyPatch) -> None:
    """Rows are written over whatever is there."""
    body = batches._Table.body

    def unguarded(*arguments: Any) -> str:
        return re.sub(r"t\.sequence < (excluded|r)\.sequence", "true", body(*arguments))

    patch.setattr(batches._Table, "body", unguarded)


def log_unread(patch: pytest.MonkeyPatch) -> None:
    """Repeated commands are not looked up."""

    async def known(self: HostStore, command_ids: Any) -> dict[Any, Any]:
        return {}

    patch.setattr(HostStore, "known", known)
    patch.setattr(batches, "ASK", "")


def memory_of_answers_off(patch: pytest.MonkeyPatch) -> None:
    """A host forgets what it answered, and what it is about to answer."""
    patch.setattr(Mailbox, "known", lambda *arguments: False)


def repeats_unknown(patch: pytest.MonkeyPatch) -> None:
    """Nobody remembers: neither the host nor the log, which is asked where the host forgot."""
    memory_of_answers_off(patch)
    log_unread(patch)


def answers_first(patch: pytest.MonkeyPatch) -> None:
    """Answers, and then commits."""
    write = Committing._write

    async def hasty(self: Committing, decided: Any, briefly: bool) -> None:
        self.answer(decided.verdicts)
        await asyncio.sleep(0.05)
        await write(self, decided, briefly)

    patch.setattr(Committing, "_write", hasty)


def undo_off(patch: pytest.MonkeyPatch) -> None:
    """After a batch that the database refused, states stay as it left them in memory."""
    patch.setattr(Working, "fork", lambda self: self)


def recovery_epochs_off(patch: pytest.MonkeyPatch) -> None:
    """After an unknown outcome a host goes on under the same epochs."""
    patch.setattr(leases, "raise_epochs", _nothing)


def floor_off(patch: pytest.MonkeyPatch) -> None:
    """A successor does not ask how far the decisions of the owner before it had come."""
    take = Tenure.take

    def forgetful(self: Tenure, shards: Any, owned: Any) -> None:
        take(self, shards, owned)
        self.last_decided_ms.update(dict.fromkeys(shards, 0))

    patch.setattr(Tenure, "take", forgetful)
