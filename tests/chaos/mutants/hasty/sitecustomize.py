"""A mutant: a host that answers before it has committed."""

import asyncio
import os
from pathlib import Path

from actors.runtime.host import Host

_write = Host._write


async def _answer_and_write(self, decided):
    self._answer(decided)
    await asyncio.sleep(0.1)
    await _write(self, decided)


Host._write = _answer_and_write
Path(os.environ["HOLDFAST_HOME"], "mutated").touch()
