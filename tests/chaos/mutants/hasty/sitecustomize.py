"""A mutant: a host that answers before it has committed."""

import asyncio
import os
from pathlib import Path

from actors.runtime.committing import Committing

_write = Committing._write


async def _answer_and_write(self, decided, briefly):
    self.answer(decided.verdicts)
    await asyncio.sleep(0.1)
    await _write(self, decided, briefly)


Committing._write = _answer_and_write
Path(os.environ["HOLDFAST_HOME"], "mutated").touch()
