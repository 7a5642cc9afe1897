"""The connections of look-ups: few, kept, and given up after whatever goes wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from store import lookups
from store.lookups import POOL_SIZE, LookupPool


class _Connection:
    def __init__(self) -> None:
        self.closed = False
        self.go = asyncio.Event()
        self.said: list[str] = []

    def is_closed(self) -> bool:
        return self.closed

    def terminate(self) -> None:
        self.closed = True

    async def execute(self, statement: str) -> None:
        self.said.append(statement)

    async def fetchrow(self, statement: str) -> str:
        if statement == "wait":
            await self.go.wait()
        if statement == "fail":
            raise RuntimeError
        return statement


class _Server:
    def __init__(self) -> None:
        self.connections: list[_Connection] = []
        self.up = True

    async def connect(self) -> Any:
        await asyncio.sleep(0)
        if not self.up:
            raise ConnectionError
        self.connections.append(_Connection())
        return self.connections[-1]


async def test_no_more_are_opened_than_there_may_be_and_each_is_used_again() -> None:
    server = _Server()
    pool = LookupPool(server.connect)
    tasks = [asyncio.create_task(pool.row("wait")) for _ in range(3 * POOL_SIZE)]
    while len(server.connections) < POOL_SIZE:
        await asyncio.sleep(0)
    tasks[POOL_SIZE].cancel()  # One who waits and gives up takes nobody's place along.
    for connection in server.connections:
        connection.go.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert told.count("wait") == 3 * POOL_SIZE - 1
    assert len(server.connections) == POOL_SIZE
    assert await pool.row("again") == "again"
    assert len(server.connections) == POOL_SIZE
    await pool.close()
    assert all(connection.closed for connection in server.connections)


async def test_one_on_which_something_went_wrong_is_not_used_again() -> None:
    server = _Server()
    pool = LookupPool(server.connect)
    for ends in ("fail", "cancelled", "closed", "transaction"):
        assert await pool.row("fine") == "fine"
        current = server.connections[-1]
        if ends == "fail":
            with pytest.raises(RuntimeError):
                await pool.row("fail")
        elif ends == "cancelled":
            task = asyncio.create_task(pool.row("wait"))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif ends == "closed":
            current.closed = True
        else:
            with pytest.raises(ZeroDivisionError):
                async with pool.transaction({"a": "b"}):
                    raise ZeroDivisionError
            assert current.said == ["BEGIN READ ONLY; SET LOCAL a = 'b';"]
        assert current.closed
    assert len(server.connections) == 4


async def test_a_server_that_is_away_costs_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    server = _Server()
    pool = LookupPool(server.connect)
    server.up = False
    for _ in range(2 * POOL_SIZE):
        with pytest.raises(ConnectionError):
            await pool.row("fine")
    server.up = True
    assert await pool.row("fine") == "fine"
    monkeypatch.setattr(lookups, "CONNECT_TIMEOUT_SECONDS", 0.01)
    busy = [asyncio.create_task(pool.row("wait")) for _ in range(POOL_SIZE)]
    while len(server.connections) < POOL_SIZE:
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await pool.row("fine")
    await pool.close()
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)
