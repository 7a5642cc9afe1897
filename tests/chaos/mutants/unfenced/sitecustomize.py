"""A mutant: a host that believes in its lease permanently, and commits without proving it. Nor does
anybody end it while it is stopped: what is never let go on needs no fence."""

import os
import time
from pathlib import Path

import cli.supervisor.orphans
from actors.runtime.tenure import Tenure
from cli.supervisor.suspended import Suspended
from store.hosts import batches
from store.hosts.journal import HostStore

_renew, _owned = HostStore.renew, HostStore.owned


async def _renew_anyhow(self, decided_at_ms):
    return await _renew(self, decided_at_ms) or time.time_ns() // 1_000_000


async def _owned_for_ever(self):
    self.kept = {**getattr(self, "kept", {}), **await _owned(self)}
    return self.kept


batches.PROOF, Suspended.tick, cli.supervisor.orphans.end_orphans  # noqa: B018
HostStore.renew, HostStore.owned = _renew_anyhow, _owned_for_ever
batches.PROOF = ""
Suspended.tick = lambda self: None
cli.supervisor.orphans.end_orphans = lambda *arguments: []
Tenure.valid = property(lambda self: True)
Path(os.environ["HOLDFAST_HOME"], "mutated").touch()
