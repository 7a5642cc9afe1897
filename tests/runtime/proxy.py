"""A proxy in front of Postgres that cuts a connection around its COMMIT, or falls silent."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_SOCKET = ".s.PGSQL.5432"
_CHUNK = 65_536
_REQUEST = 1 << 24
_LATE_SECONDS, _LATEST_SECONDS = 0.3, 2.0
# Messages of the protocol: what prepares a statement that commits, and the end of a request.
_PREPARES = re.compile(rb"P.{4}(\w+)\0SELECT pg_temp\.commit_", re.DOTALL)
_SYNC = b"S\0\0\0\4"


class Cut(Enum):
    """What becomes of a COMMIT."""

    NONE = "passes"
    BEFORE = "is lost, and so is the connection"
    AFTER = "is executed, but its answer is lost, and so is the connection"
    LATE = "is executed after the connection was lost to the client, which has gone on since"


class Link:
    """One connection through the proxy. While `flowing` is not set, nothing passes on it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.flowing = asyncio.Event()
        self.flowing.set()
        # Names of statements which commit.
        self.commits: set[bytes] = set()
        # Set, it swallows the next answer and then cuts the connection.
        self.swallow = False

    def cut(self) -> None:
        for side in (self.client, self.server):
            side.transport.abort()


def _commits(request: bytes, link: Link) -> bool:
    """Whether it executes a statement that commits, or says so itself."""
    if request.startswith(b"Q"):
        return request[5:].startswith(b"COMMIT")
    return request.startswith(b"B") and request[6:70].partition(b"\0")[0] in link.commits


class PostgresProxy:
    """Listens in a folder of its own. `decide` is asked about every COMMIT that passes;
    `commit_seconds` is how long each is held up, as by a slow disk."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._folder = tempfile.TemporaryDirectory(prefix="hfp", dir="/tmp")
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        self.decide: Callable[[], Cut] = lambda: Cut.NONE
        self.commit_seconds = 0.0
        # What the server says passes, that it has hung up does not.
        self.hides_the_end = False
        self.cuts = 0
        # Of commits that were executed, and whose answer nobody heard.
        self.swallowed = 0
        self._batches = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def url(self, plain: str) -> str:
        """The same database, by way of the proxy."""
        return plain.replace(str(self._target.parent), self._folder.name)

    async def start(self) -> None:
        path = Path(self._folder.name) / _SOCKET
        self._server = await asyncio.start_unix_server(self._accept, path, limit=_REQUEST)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.cut()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self._folder.cleanup()

    def cut(self) -> None:
        """Ends the connections that are open."""
        for link in list(self._links):
            link.cut()

    def silence(self) -> int:
        """From now on nothing passes on the connections that are open, in either direction, as
        when a network vanishes; how many they are."""
        for link in self._links:
            link.flowing.clear()
        return len(self._links)

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        try:
            answers, server = await asyncio.open_unix_connection(self._target)
        except OSError:
            client.transport.abort()
            return
        link = Link(client, server)
        self._links.add(link)
        try:
            await asyncio.gather(self._upstream(reader, link), self._downstream(answers, link))
        except (OSError, EOFError, asyncio.CancelledError):
            return
        finally:
            self._links.discard(link)
            link.cut()

    async def _upstream(self, reader: asyncio.StreamReader, link: Link) -> None:
        while data := await reader.read(_CHUNK):
            await link.flowing.wait()
            link.commits.update(_PREPARES.findall(data))
            if _commits(data, link):
                if data.startswith(b"B") and not data.endswith(_SYNC):
                    data += await reader.readuntil(_SYNC)
                await asyncio.sleep(self.commit_seconds)
                self._batches += data.startswith(b"B")
                cut = self.decide()
                self.cuts += cut is not Cut.NONE
                if cut is Cut.BEFORE:
                    break
                link.swallow = cut is not Cut.NONE
                if cut is Cut.LATE:
                    link.client.transport.abort()
                    await self._late()
            link.server.write(data)
            await link.server.drain()
            if link.swallow:
                return  # the answer ends the link
        link.cut()

    async def _late(self) -> None:
        """Until the host that was cut off has committed something else, however slow the machine
        is; within a bound, since it need not."""
        batches = self._batches
        with suppress(TimeoutError):
            async with asyncio.timeout(_LATEST_SECONDS):
                await asyncio.sleep(_LATE_SECONDS)
                while self._batches == batches:
                    await asyncio.sleep(0.01)

    async def _downstream(self, answers: asyncio.StreamReader, link: Link) -> None:
        while (data := await answers.read(_CHUNK)) and not link.swallow:
            await link.flowing.wait()
            link.client.write(data)
            await link.client.drain()
        self.swallowed += link.swallow
        if not self.hides_the_end:
            link.cut()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[PostgresProxy]:
    """A proxy in front of the server of `url`."""
    folder = parse_qs(urlsplit(url).query)["host"][0]
    proxy = PostgresProxy(Path(folder) / _SOCKET)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
