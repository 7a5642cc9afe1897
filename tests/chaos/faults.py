"""What can happen to a copy: each fault ends or stops processes of that copy, by pid."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from store.embedded.leftovers import is_alive, signal_process
from store.kit.connect import OF_THE_CONNECTION
from tests.stack import Stack

STOPPED_SECONDS = 7.0  # longer than a lease
# How long it takes stands in the figures; both the keeper and who could take may be starting anew.
TAKEN_SECONDS = 120.0
ZOMBIE_END_SECONDS = 10.0
FIND_SECONDS = 60.0

Fault = Callable[[Stack, random.Random], None]


def _kill(find: Callable[[Stack], list[psutil.Process]]) -> Fault:
    def strike(stack: Stack, rng: random.Random) -> None:
        signal_process(_one(stack, find, rng), signal.SIGKILL)

    return strike


def _one(
    stack: Stack, find: Callable[[Stack], list[psutil.Process]], rng: random.Random
) -> psutil.Process:
    """One of those there are; after an earlier fault it may take a while until there is one."""
    deadline = time.monotonic() + FIND_SECONDS
    while not (found := [process for process in find(stack) if is_alive(process)]):
        if time.monotonic() > deadline:
            raise TimeoutError("no such process")
        time.sleep(0.1)
    return rng.choice(sorted(found, key=lambda process: process.pid))


def _titled(title: str) -> Fault:
    return _kill(lambda stack: stack.processes(title))


def kill_a_sleeper(stack: Stack, rng: random.Random) -> None:
    """Nobody starts it again, since nobody needs it: in the end there is none."""
    if sleepers := stack.sleepers():
        signal_process(rng.choice(sleepers), signal.SIGKILL)


def stop_host_beyond_its_lease(stack: Stack, rng: random.Random) -> None:
    """SIGSTOP, until its shards are somebody else's, who serves meanwhile; SIGCONT: the zombie
    has to leave by itself."""
    host = _one(stack, _owning_hosts, rng)
    signal_process(host, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + TAKEN_SECONDS
        time.sleep(STOPPED_SECONDS)
        # As a rule that is long over; not if there was no keeper, or no database.
        while any(lease["pid"] == host.pid for lease in asyncio.run(leases(stack))):
            if time.monotonic() > deadline:
                raise AssertionError(f"nobody took from {host.pid}: {asyncio.run(leases(stack))}")
            time.sleep(0.2)
    finally:
        signal_process(host, signal.SIGCONT)
    deadline = time.monotonic() + ZOMBIE_END_SECONDS
    while is_alive(host):
        if time.monotonic() > deadline:
            raise AssertionError(f"the zombie {host.pid} lives on: {asyncio.run(leases(stack))}")
        time.sleep(0.05)


def _owning_hosts(stack: Stack) -> list[psutil.Process]:
    owners = {lease["pid"] for lease in asyncio.run(leases(stack))}
    return [host for host in stack.hosts() if host.pid in owners]


async def leases(stack: Stack) -> list[dict[str, Any]]:
    """Who owns shards; while the database is away, nobody."""
    try:
        connection = await stack.database()
        try:
            rows = await connection.fetch(
                "SELECT h.name, h.pid, count(*) AS shards, h.lost_at, h.expires_at,"
                " clock_timestamp() AS now FROM shard_leases l"
                " JOIN shard_hosts h ON h.id = l.host_id GROUP BY h.id"
            )
            return [dict(row) for row in rows]
        finally:
            connection.terminate()
    except (asyncpg.PostgresError, *OF_THE_CONNECTION):
        return []


def stop_host_for_a_moment(stack: Stack, rng: random.Random) -> None:
    """Shorter than its lease: nothing may be lost, and nobody need take over."""
    host = _one(stack, Stack.hosts, rng)
    signal_process(host, signal.SIGSTOP)
    time.sleep(2)
    signal_process(host, signal.SIGCONT)


def _serving_haproxy(stack: Stack) -> list[psutil.Process]:
    """The newest: for a while after a change of its configuration there is an older one, too."""
    return sorted(stack.haproxies(), key=lambda process: process.create_time())[-1:]


def flush_valkey(stack: Stack, rng: random.Random) -> None:
    """FLUSHALL: a running server that has forgotten everything."""

    async def flush() -> None:
        client = Redis.from_url(stack.settings.effective_redis_url)
        try:
            await client.flushall()
        finally:
            await client.aclose()

    # Right after it was killed there may be none for a moment: that forgets as well.
    with suppress(RedisError, OSError):
        asyncio.run(flush())


def stall_valkey(stack: Stack, rng: random.Random) -> None:
    """SIGSTOP for 5 s, or until the supervisor ends it: its connections stay open, and nothing
    comes of them."""
    server = _one(stack, Stack.valkey, rng)
    signal_process(server, signal.SIGSTOP)
    time.sleep(5)
    signal_process(server, signal.SIGCONT)


@asynccontextmanager
async def slow_commits(stack: Stack, seconds: float) -> AsyncIterator[None]:
    """A slow disk: each commit that moves stock takes so much longer, in Postgres, at its end."""
    database = await stack.database()
    try:
        await database.execute(_SLOW.format(seconds=seconds))
        yield
        await database.execute("DROP FUNCTION slow_commit CASCADE")
    finally:
        await database.close()


# A constraint's trigger is run by COMMIT, for each row; it sleeps at the first one.
_SLOW = """
CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF current_setting('holdfast.slept', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
    PERFORM set_config('holdfast.slept', pg_current_xact_id()::text, true), pg_sleep({seconds});
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON stock_movements
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_commit()"""

# Those that a copy heals without starting Ray anew.
SHORT: dict[str, Fault] = {
    "kill a host": _kill(Stack.hosts),
    "stop a host for 7 s": stop_host_beyond_its_lease,
    "kill a replica": _kill(Stack.replicas),
    "kill a backend of Postgres": _kill(lambda stack: stack.postgres("postgres: holdfast_host")),
    "kill Postgres": _kill(Stack.postgres),
    "kill Valkey": _kill(Stack.valkey),
    "flush Valkey": flush_valkey,
    "kill HAProxy": _kill(_serving_haproxy),
    "kill the Serve controller": _titled("ray::ServeController"),
    "kill the keeper": _kill(Stack.keepers),
}
# And those after which the supervisor starts all of Ray anew, and a few more.
LONG: dict[str, Fault] = SHORT | {
    "stop a host for 2 s": stop_host_for_a_moment,
    "stall Valkey for 5 s": stall_valkey,
    "kill a backend of a replica": _kill(lambda stack: stack.postgres("postgres: holdfast_app")),
    "kill the HAProxy manager": _titled("ray::HAProxyManager"),
    "kill the GCS": _titled("gcs/gcs_server"),
    "kill the raylet": _titled("raylet/raylet"),
    "kill what sleeps in an agent's place": kill_a_sleeper,
}
