"""The limit of our shape: group commit inside one uvicorn process, without Ray or HAProxy.

Decides with the same pure rules and commits the same rows (level, hold, ledger, command log,
outbox) through the same journal; the rest of the runtime is left out, so that nothing stands
between a request and its batch. One process only, and nobody takes over when it dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastapi import FastAPI

from actors.families import COMMERCE, FAMILIES
from actors.runtime.family import Change, Context, Key
from actors.runtime.wire import shard_of
from actors.stock import model as m
from bench.baselines.http import Hold, make_app
from bench.shards import host_store, take_all
from core.clock import SystemClock
from core.ids import uuid7
from core.settings import Settings, get_settings
from store.hosts.command_log import Logged
from store.hosts.leases import Lease, Shard

MAX_BATCH = 500
_FAMILY = FAMILIES[COMMERCE]


class Waiting(NamedTuple):
    command: m.Reserve
    context: Context
    reply: asyncio.Future[m.AnyReply]


class View:
    """What is committed, and on top of it what this batch has decided."""

    def __init__(self) -> None:
        self.committed: dict[Key, Any] = {}
        self.changed: dict[Key, Any] = {}

    def get(self, key: Key) -> Any:
        return self.changed[key] if key in self.changed else self.committed.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self.changed or key in self.committed


class GroupCommit:
    """See `bench.baselines.http.Shop`."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.host_database_url
        self._store = host_store(self._url)
        self._clock = SystemClock()
        self._view = View()
        self._waiting: list[Waiting] = []
        self._arrived = asyncio.Event()
        self._leases: dict[Shard, Lease] = {}
        self._loop: asyncio.Task[None]

    async def start(self) -> None:
        await self._store.register()
        await take_all(self._url, self._store, FAMILIES)
        self._leases = await self._store.owned()
        self._loop = asyncio.create_task(self._serve())

    async def stop(self) -> None:
        self._loop.cancel()
        await asyncio.gather(self._loop, return_exceptions=True)
        await self._store.close()

    async def reserve(self, hold: Hold) -> int | None:
        now_ms = self._clock.now_ms()
        shard = shard_of(hold.tenant_id, len(self._leases))
        ttl_ms = int((hold.expires_at - hold.created_at).total_seconds() * 1000)
        line = m.Line(hold.product_id, hold.quantity)
        command = m.Reserve(hold.id, (line,), ttl_ms, hold.reference)
        context = Context(shard, hold.tenant_id, hold.created_by, uuid7(), now_ms, now_ms)
        future: asyncio.Future[m.AnyReply] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(command, context, future))
        self._arrived.set()
        reply = await future
        return reply.levels[0].available if isinstance(reply, m.Hold) else None

    async def _serve(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                try:
                    await self._load(batch)
                    await self._commit(batch)
                except Exception as error:  # its callers are told, the loop goes on
                    _fail(batch, error)

    async def _load(self, batch: Sequence[Waiting]) -> None:
        wanted = {
            key
            for work in batch
            for key in _FAMILY.rules.keys(work.command, work.context, self._view)
        }
        missing = [key for key in wanted if key not in self._view]
        if missing:
            rows = await self._store.load(_FAMILY.loader, missing)
            for key in missing:
                row = rows.get(key)
                state = None if row is None else _FAMILY.rules.restore(key, row)
                self._view.committed[key] = state

    async def _commit(self, batch: Sequence[Waiting]) -> None:
        view = self._view
        view.changed = {}
        changes: list[Change] = []
        log: list[Logged] = []
        replies: list[m.AnyReply] = []
        for command, context, _ in batch:
            decision = _FAMILY.rules.decide(view, command, context)
            for key, event in decision.events:
                before = view.get(key)
                after = view.changed[key] = _FAMILY.rules.evolve(before, event)
                changes.append(Change(key, event, before, after, context))
            reply = decision.answer(view, {})
            replies.append(reply)
            if not decision.refused:
                told = _FAMILY.rules.encode(reply)
                log.append(Logged(context.command_id, context.tenant_id, bytes(32), told))
        if log:
            touched = {Shard(COMMERCE, work.context.shard) for work in batch}
            epochs = {shard: self._leases[shard].epoch for shard in touched}
            rows = _FAMILY.rules.project(changes)
            await self._store.commit(epochs, [(_FAMILY.loader, rows)], log)
            view.committed.update(view.changed)
        for work, reply in zip(batch, replies, strict=True):
            if not work.reply.done():
                work.reply.set_result(reply)


def _fail(batch: Sequence[Waiting], error: Exception) -> None:
    for work in batch:
        if not work.reply.done():
            work.reply.set_exception(error)


def app() -> FastAPI:
    settings = get_settings()
    return make_app(GroupCommit(settings), settings)
