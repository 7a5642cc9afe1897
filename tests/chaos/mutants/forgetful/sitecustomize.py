"""A mutant: a host that keeps no log of its commands, and so never knows a repeat."""

import os
from pathlib import Path

from actors.runtime.mailbox import Mailbox
from store import journal


async def _nothing(*arguments):
    return {}


for place, name in ((journal.HostStore, "known"), (journal, "_write_log")):
    getattr(place, name)  # there is such a thing to break
    setattr(place, name, _nothing)
Mailbox.known.__name__  # noqa: B018
Mailbox.known = lambda self, envelope, now_ms: None
Path(os.environ["HOLDFAST_HOME"], "mutated").touch()
