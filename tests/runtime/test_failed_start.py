"""A host that cannot start in its process makes room for another."""

from __future__ import annotations

import pytest

from actors.runtime import remote
from actors.runtime.remote import HostActor


class Left(Exception):
    """In place of the end of the process."""


async def test_a_host_that_cannot_start_leaves_for_ray_to_start_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def leave() -> None:
        raise Left

    async def mixed(self: HostActor) -> None:
        raise ImportError("cannot import name 'BUSY' from 'actors.runtime.wire'")

    monkeypatch.setattr(remote, "leave", leave)
    monkeypatch.setattr(remote, "AFTER_FAILED_START_SECONDS", 0)
    monkeypatch.setattr(HostActor, "_start", mixed)
    with pytest.raises(Left):
        await HostActor("shard-host-old-0", "old").start()
