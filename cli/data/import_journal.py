"""How far an import came, in a small file next to what it imports. An import that was killed
goes on after its last finished batch, and repeats the one that it was sending under the same
keys. The file is removed when the import is done."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4


class ImportRunning(Exception):
    """Another process is importing this file at this moment."""


class Journal:
    """One run over one file. `run` names it, over restarts too; `finished` are the records of
    its finished batches, in order."""

    def __init__(self, file: BinaryIO, run: str, finished: list[dict[str, Any]]) -> None:
        self._file = file
        self.run = run
        self.finished = finished

    def add(self, record: dict[str, Any]) -> None:
        """Notes a finished batch; a kill of the process after this does not lose it."""
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()


@contextmanager
def journal(path: Path, fingerprint: str) -> Iterator[Journal]:
    """The journal at `path`: the earlier run's if it was over the same input (`fingerprint`),
    else a new one. Removed if the block ends well.

    Raises ImportRunning while another process has it, OSError where it cannot be written.
    """
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ImportRunning(f"another import is at work on this ({path})") from error
        head, finished, length = _read(file)
        if head.get("fingerprint") != fingerprint:
            head, finished, length = {"fingerprint": fingerprint, "run": str(uuid4())}, [], 0
        file.truncate(length)
        current = Journal(file, head["run"], finished)
        if not length:
            current.add(head)
        yield current
        os.unlink(path)


def _read(file: BinaryIO) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Head, records and the length of what is whole: a kill may leave half a line."""
    file.seek(0)
    records, length = [], 0
    for line in file:
        try:
            record = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(record, dict):
            break
        records.append(record)
        length += len(line)
    if not records or "run" not in records[0]:
        return {}, [], 0
    return records[0], records[1:], length
