"""A host that cannot start in its process makes room for another."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from ray.exceptions import RayError

from actors.runtime import remote
from actors.runtime.remote import HostActor, RayHosts


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


async def test_why_a_host_did_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, str]] = []

    async def fails() -> None:
        raise RayError("no memory left on the node")

    async def turns() -> None: ...

    handle = SimpleNamespace(
        start=SimpleNamespace(remote=fails), turns=SimpleNamespace(remote=turns)
    )
    monkeypatch.setattr(remote, "_create", lambda *_: handle)
    log = SimpleNamespace(warning=lambda _, **fields: told.append(fields))
    monkeypatch.setattr(remote, "log", log)
    hosts = RayHosts("new", 1)
    await hosts.ensure()
    await asyncio.wait(hosts._pings.values())
    await hosts.ensure()
    await asyncio.gather(*hosts._pings.values(), return_exceptions=True)
    assert "no memory left on the node" in told[0]["reason"]
