"""What a host may decide for, and until when: its lease as it knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.clock import Clock
from store.hosts.leases import LEASE_SECONDS, Lease, Shard

# The host gives up a little before the database does.
MARGIN_SECONDS = 0.25


class Tenure:
    """The host's shards and their epochs, and the lease that covers them all.

    The lease counts on a clock that runs through suspension, from before the renewal was sent:
    a host that was stopped and goes on sees at once that its time is over.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_boot_seconds = 0.0
        self.epochs: dict[Shard, int] = {}
        self._since_ms: dict[Shard, int] = {}
        self._decided_at_ms = 0
        # When its latest decision was made, by shard: the next one is not earlier.
        self.last_decided_ms: dict[Shard, int] = {}

    @property
    def valid(self) -> bool:
        return self._clock.boot_seconds() < self._until_boot_seconds

    def renewed(self, sent_boot_seconds: float) -> None:
        self._until_boot_seconds = sent_boot_seconds + LEASE_SECONDS - MARGIN_SECONDS

    def end(self) -> None:
        """The lease was taken: nothing may be answered any more."""
        self._until_boot_seconds = 0.0

    def owns(self, shard: Shard) -> bool:
        return shard in self.epochs

    def since_ms(self, shard: Shard) -> int:
        """When the host took the shard up: what was decided before, it does not remember."""
        return self._since_ms[shard]

    def differs(self, owned: Mapping[Shard, Lease]) -> tuple[set[Shard], set[Shard]]:
        """Shards to drop (lost, or under a new epoch) and shards to take up."""
        drop = {
            shard
            for shard, epoch in self.epochs.items()
            if shard not in owned or owned[shard].epoch != epoch
        }
        take = {shard for shard in owned if shard not in self.epochs or shard in drop}
        return drop, take

    def take(self, shards: Iterable[Shard], owned: Mapping[Shard, Lease]) -> None:
        for shard in shards:
            self.epochs[shard] = owned[shard].epoch
            self._since_ms[shard] = self._clock.now_ms()
            before_ms = self.last_decided_ms.get(shard, 0)
            self.last_decided_ms[shard] = max(before_ms, owned[shard].decided_at_ms)

    def drop(self, shards: Iterable[Shard]) -> None:
        for shard in shards:
            self.epochs.pop(shard, None)
            self._since_ms.pop(shard, None)
            self.last_decided_ms.pop(shard, None)

    def decision_time_ms(self, shard: Shard, now_ms: int) -> int:
        """Now, but never before an earlier decision for the shard, also of its owner before.
        Each shard has a time of its own: one that comes with a time of a clock that was ahead must
        not carry it to its neighbours."""
        self._decided_at_ms = max(self._decided_at_ms, now_ms)
        at_ms = self.last_decided_ms[shard] = max(self.last_decided_ms.get(shard, 0), now_ms)
        return at_ms

    @property
    def decided_at_ms(self) -> int:
        """The latest time by this host's clock at which it decided: a shard's next owner decides
        no earlier than that, nor than what the shard came with."""
        return self._decided_at_ms
