"""A mutant: a host that keeps no log of its commands, and so never knows a repeat."""

import os
from pathlib import Path

from actors.runtime.mailbox import Mailbox
from store.hosts import journal
from store.hosts.batches import Write


async def _nothing(*arguments):
    return {}


journal.HostStore.known, journal.LOG["command_log"], Mailbox.known
journal.HostStore.known = _nothing
journal.LOG["command_log"] = Write(
    "PERFORM 1 FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[])"
)
Mailbox.known = lambda self, envelope, now_ms, on_answer: False
Path(os.environ["HOLDFAST_HOME"], "mutated").touch()
