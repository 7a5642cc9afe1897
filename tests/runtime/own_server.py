"""A Postgres that may be stopped, filled and silenced without harm to anybody else."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import asyncpg
import psutil

from core.settings import Settings
from store.embedded import postgres
from store.embedded.leftovers import signal_process
from store.embedded.server import Server


class OwnServer:
    """It runs from the first moment; `stop` ends it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server: Server = self._started()

    def _started(self) -> Server:
        server = postgres.start(self.settings)
        server.wait_ready()
        return server

    def stop(self) -> None:
        self.server.stop()

    async def restart(self, *, brutally: bool, down_seconds: float) -> None:
        if brutally:
            self.server.process.kill()
            self.server.process.wait(5)
        else:
            await asyncio.to_thread(self.server.stop)
        await asyncio.sleep(down_seconds)
        self.server = await asyncio.to_thread(self._started)

    async def set(self, **settings: str) -> None:
        """Settings of the whole server, from now on; `DEFAULT` takes one back."""
        owner = await asyncpg.connect(
            self.settings.owner_database_url,
            server_settings={"default_transaction_read_only": "off"},
        )
        try:
            for name, value in settings.items():
                await owner.execute(f"ALTER SYSTEM SET {name} = {value}")
            await owner.execute("SELECT pg_reload_conf()")
        finally:
            await owner.close()

    def processes(self, *titles: str) -> list[psutil.Process]:
        """All of the server's, or those of whose titles one begins so."""
        postmaster = psutil.Process(self.server.process.pid)
        if not titles:
            return [postmaster, *postmaster.children(recursive=True)]
        begins = tuple(f"postgres: {title}" for title in titles)
        return [
            child
            for child in postmaster.children(recursive=True)
            if " ".join(child.cmdline()).startswith(begins)
        ]

    @contextmanager
    def still(self, processes: Sequence[psutil.Process]) -> Iterator[None]:
        """As if they waited for a disk: their connections stay open, and nothing comes of them."""
        assert processes
        for process in processes:
            signal_process(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                signal_process(process, signal.SIGCONT)
