"""How much a consumer reads at a time, and how it finds the one event that makes a batch fail."""

from __future__ import annotations

from store.kit.consumers import Batch

# Rows that are looked at in one transaction; fewer where that takes long, because what others
# emit meanwhile counts as settled only afterwards.
FIRST_BATCH, MAX_BATCH = 100, 1_000
BATCH_SECONDS = 0.25
# Of a batch that has failed, to find out which event it was.
PARTS = 8
# A failure after so long: its tenant's events are tried one by one, and wait behind nobody.
SLOW_SECONDS = 1.0


def is_slow(seconds: float) -> bool:
    """Whether a failure took so long that others must not wait for more of the kind."""
    return seconds >= SLOW_SECONDS


class Portion:
    """How many rows a consumer looks at in a transaction: as many as take a moment. In a batch that
    has failed it searches for the culprit by parts of parts, so that one event among a thousand
    costs some twenty transactions; or one by one, where a failure takes long."""

    def __init__(self) -> None:
        self.size = min(FIRST_BATCH, MAX_BATCH)
        # Of the batches that failed, each within the one before: the last id, and the size.
        self._failed: list[tuple[int, int]] = []

    def upto(self, position: int, settled: int) -> int:
        """As far as may be read now."""
        while self._failed and self._failed[-1][0] <= position:
            self.size = self._failed.pop()[1]
        return min(settled, self._failed[-1][0]) if self._failed else settled

    def is_last(self, batch: Batch) -> bool:
        """Whether what failed cannot be made smaller, and has been tried before where it can."""
        return self.size == 1 or (bool(self._failed) and len(batch.rows) == 1)

    def failed(self, last: int, after_seconds: float) -> None:
        """Begins a search, or goes on in a part."""
        self._failed.append((last, self.size))
        self.size = 1 if is_slow(after_seconds) else max(1, self.size // PARTS)

    def end_search(self) -> bool:
        """Ends a search, since the rows are gone; whether there was one."""
        was_searching = bool(self._failed)
        if was_searching:
            self.size = self._failed[0][1]
            self._failed.clear()
        return was_searching

    def took(self, seconds: float) -> None:
        """It went well."""
        if not self._failed:
            factor = min(BATCH_SECONDS / max(seconds, 1e-6), 2.0)
            self.size = max(1, min(int(self.size * factor), MAX_BATCH))
