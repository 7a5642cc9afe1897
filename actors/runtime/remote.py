"""The runtime over Ray: hosts as named detached actors, calls of one msgpack blob each. On one
machine Ray starts and finds hosts, and commands go by streams.

`max_task_retries` is 0, always: repeating is ours, by command id.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from actors.runtime.call import Calls
from actors.runtime.directory import Owner
from actors.runtime.ports import HostLost
from actors.runtime.sockets import connect, listen
from actors.runtime.stream import Deliver, Stream
from actors.runtime.wire import (
    Answer,
    Envelope,
    decode_envelopes,
    decode_partial_answers,
    deliver_all,
    encode,
)
from core.settings import Settings
from core.telemetry import get_logger
from store.hosts.leases import Shard

NAMESPACE = "holdfast"
HOST_CPUS = 0.05
MAX_CALLS = 10_000
CALL_TIMEOUT_SECONDS = 60.0
KEEPER_CALL_TIMEOUT_SECONDS = 3.0
# A call costs both sides most of a millisecond, so those that only look are seldom.
PING_SECONDS = 1.0
SIGN_SECONDS = 5.0
# Longer than Ray takes to start a host on a machine that is short of CPU.
NO_SIGN_SECONDS = 30.0
AFTER_FAILED_START_SECONDS = 1.0

_NAMES = "shard-host-"

log = get_logger("runtime.remote")

Handle = ActorHandle[Any]


def host_names(build: str, count: int) -> list[str]:
    """Of the hosts of a build: those of another one stand beside them."""
    return [f"{_NAMES}{build}-{number}" for number in range(count)]


def leave() -> None:
    """Ends this process at once, for Ray to start it again, as it would not after exit_actor."""
    os._exit(1)


class HostActor:
    """The Ray face of a `Host`."""

    def __init__(self, name: str, build: str) -> None:
        self._name = name
        self._build = build
        self._host: Any = None
        self._starting: asyncio.Task[None] | None = None
        self._publishing: asyncio.Task[None] | None = None
        self._calls = Calls()
        self._door: asyncio.Server | None = None

    async def start(self) -> int:
        """Starts the host if that has not happened; returns its process id."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start_or_leave())
        await asyncio.shield(self._starting)
        return os.getpid()

    async def _start_or_leave(self) -> None:
        """Another process may succeed where this one would fail permanently: one that began while a
        build was being installed has loaded modules of both."""
        try:
            await self._start()
        except Exception:
            log.exception("host cannot start; another process tries")
            await asyncio.sleep(AFTER_FAILED_START_SECONDS)
            leave()

    async def _start(self) -> None:
        # Imported here so that the actor's class stays small to ship.
        from actors.families import FAMILIES
        from actors.runtime.host import Host
        from actors.runtime.lease import in_thread
        from actors.runtime.upkeep import birth_of, machine_id
        from actors.runtime.watchdog import Watchdog
        from core.clock import SystemClock
        from core.garbage import collect_seldom
        from core.ids import uuid7
        from core.settings import get_settings
        from core.telemetry import configure_logging
        from store.hosts.connections import OutcomeUnknown
        from store.hosts.journal import HostStore
        from store.hosts.leases import Incarnation
        from store.kit.metrics import MetricsPublisher
        from store.kit.redis import Redis

        settings = get_settings()
        configure_logging(settings.log_level)
        pid = os.getpid()
        incarnation = Incarnation(
            uuid7(), self._name, machine_id(), pid, self._build, birth_of(pid)
        )
        host = Host(
            HostStore(settings.host_database_url, incarnation),
            FAMILIES,
            SystemClock(),
            leave,
            in_thread("lease"),
        )
        publisher = MetricsPublisher(Redis(settings.effective_redis_url), self._name)
        self._publishing = asyncio.create_task(publisher.run())
        reason = ""
        while self._host is None:
            try:
                await host.start()
                self._host = host
                await self._listen(settings, incarnation.id)
                collect_seldom()
                Watchdog(leave, lambda: host.holds_lease).start(asyncio.get_running_loop())
            except OutcomeUnknown as error:
                if reason != (reason := repr(error.__cause__)):
                    log.warning("host cannot start yet", reason=reason)
                await asyncio.sleep(0.5)

    async def _listen(self, settings: Settings, incarnation: UUID) -> None:
        """Opens the socket for replicas of this machine. Without it they call over Ray."""
        if settings.streams == "on":
            try:
                self._door = await listen(settings, incarnation, self._host.receive)
            except OSError as error:
                log.warning("no streams", reason=repr(error))

    async def turns(self) -> None:
        """Answers while the loop turns, whatever the host waits for."""

    async def submit(self, blob: bytes) -> bytes:
        """See `Calls.first`."""
        await self.start()
        return await self._calls.first(self._host.take(decode_envelopes(blob)))

    async def more(self, number: int) -> bytes:
        """See `Calls.more`."""
        return await self._calls.more(number)

    async def sync(self) -> None:
        await self.start()
        await self._host.sync()

    async def hand_over(self, shards: list[tuple[str, int]], successor: UUID) -> None:
        await self.start()
        await self._host.hand_over([Shard(*shard) for shard in shards], successor)


class RayTransport:
    """From a replica to hosts: over Ray, and by streams to those of this machine. See
    `ports.Transport`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._handles: dict[str, Handle] = {}

    async def stream(
        self, owner: Owner, deliver: Deliver, changed: Callable[[], None]
    ) -> Stream | None:
        if self._settings.streams == "off":
            return None
        return await connect(self._settings, owner.incarnation, deliver, changed)

    async def submit(
        self, host_name: str, envelopes: Sequence[Envelope], deliver: Callable[[int, Answer], None]
    ) -> None:
        try:
            handle = await self._handle(host_name)
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                part = decode_partial_answers(await handle.submit.remote(encode(envelopes)))
                deliver_all(part, deliver)
                while part.more:
                    part = decode_partial_answers(await handle.more.remote(part.more))
                    deliver_all(part, deliver)
        except (RayError, ValueError, TimeoutError) as error:
            # ValueError: no actor has that name (yet).
            self._handles.pop(host_name, None)
            log.warning("host lost", host=host_name, reason=type(error).__name__)
            raise HostLost from error

    async def _handle(self, host_name: str) -> Handle:
        handle = self._handles.get(host_name)
        if handle is None:
            handle = await asyncio.to_thread(ray.get_actor, host_name, NAMESPACE)
            self._handles[host_name] = handle
        return handle


class RayHosts:
    """The host actors of a build as its keeper handles them. See `keeper.Hosts`."""

    def __init__(self, build: str, count: int) -> None:
        self.names = host_names(build, count)
        self._build = build
        self._handles: dict[str, Handle] = {}
        self._pings: dict[str, asyncio.Task[Any]] = {}
        self._pinged_seconds: dict[str, float] = {}
        self._signs: dict[str, asyncio.Task[Any]] = {}
        self._signs_asked_seconds: dict[str, float] = {}

    async def ensure(self) -> None:
        """Creates what is missing, wakes what Ray has restarted, and ends what hangs. Waits for
        no answer: a stopped host must not delay the care for the others."""
        for name in self.names:
            await self._end_if_hung(name)
            ping = self._pings.get(name)
            if ping is not None and not ping.done():
                continue
            if ping is not None and (error := ping.exception()) is not None:
                reason = repr(error.__cause__ or error)
                log.warning("host did not answer", host=name, reason=reason)
                self._handles.pop(name, None)
            elif ping is not None and time.monotonic() < self._pinged_seconds[name] + PING_SECONDS:
                continue
            if name not in self._handles:
                self._handles[name] = await asyncio.to_thread(_create, name, self._build)
            self._pings[name] = asyncio.create_task(_call(self._handles[name], "start"))
            self._pinged_seconds[name] = time.monotonic()

    async def _end_if_hung(self, name: str) -> None:
        """Has Ray kill, wherever it runs, a host that gives no sign of life. On this machine it is
        ended sooner, by its own watchdog or by pid."""
        sign, now = self._signs.get(name), time.monotonic()
        if sign is not None and not sign.done():
            if now - self._signs_asked_seconds[name] < NO_SIGN_SECONDS:
                return
            sign.cancel()
            log.error("host gives no sign of life", host=name)
            # Without this flag Ray would not start it again.
            await asyncio.to_thread(ray.kill, self._handles[name], no_restart=False)
        elif sign is not None and not sign.cancelled():
            is_fresh = now - self._signs_asked_seconds[name] < SIGN_SECONDS
            # With an exception Ray knows that it is dead, and sees to it.
            if sign.exception() is None and is_fresh:
                return
        if name in self._handles:
            self._signs[name] = asyncio.create_task(_call(self._handles[name], "turns"))
            self._signs_asked_seconds[name] = now

    async def sync(self, names: Iterable[str]) -> None:
        calls = [
            asyncio.create_task(_call(self._handles[name], "sync"))
            for name in names
            if name in self._handles
        ]
        if calls:
            # One that does not answer finds out by itself, at its next renewal.
            await asyncio.wait(calls, timeout=KEEPER_CALL_TIMEOUT_SECONDS)

    async def hand_over(self, name: str, shards: Sequence[Shard], successor: UUID) -> None:
        plain = [tuple(shard) for shard in shards]
        async with asyncio.timeout(KEEPER_CALL_TIMEOUT_SECONDS):
            await _call(await self._handle(name), "hand_over", plain, successor)

    async def dismiss(self, name: str) -> None:
        with suppress(HostLost):  # it is gone already
            # Killed this way, an actor is not started again.
            await asyncio.to_thread(ray.kill, await self._handle(name), no_restart=True)
        self._handles.pop(name, None)

    async def others(self) -> set[str]:
        """Names of hosts that are there and should not be: those of other builds."""
        named = await asyncio.to_thread(ray.util.list_named_actors, all_namespaces=True)
        ours = {actor["name"] for actor in named if actor["namespace"] == NAMESPACE}
        return {name for name in ours if name.startswith(_NAMES)} - set(self.names)

    async def _handle(self, name: str) -> Handle:
        """Also of a host of another build. Raises HostLost."""
        if name not in self._handles:
            try:
                self._handles[name] = await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
            except ValueError as error:
                raise HostLost(name) from error
        return self._handles[name]


async def _call(handle: Handle, method: str, *arguments: Any) -> Any:
    """Calls an actor's method. Raises HostLost."""
    try:
        return await getattr(handle, method).remote(*arguments)
    except RayError as error:
        raise HostLost(method) from error


def _create(name: str, build: str) -> Handle:
    actor: Any = ray.remote(HostActor)
    handle: Handle = actor.options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=HOST_CPUS,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=MAX_CALLS,
        scheduling_strategy="SPREAD",
    ).remote(name, build)
    return handle
