"""The keeper as a small Serve deployment: Serve starts it again when it dies."""

from __future__ import annotations

import asyncio


class KeeperReplica:
    """Keeps from its first moment on, for the hosts of a build."""

    def __init__(self, build: str) -> None:
        # Imported here: a process that only deploys it need not load what it needs.
        from actors.families import FAMILIES
        from actors.runtime.keeper import Keeper
        from actors.runtime.remote import RayHosts, leave
        from actors.runtime.watchdog import Watchdog
        from core.background import kept_running
        from core.clock import SystemClock
        from core.settings import get_settings
        from core.telemetry import configure_logging
        from deployments.serving.serve_replica import listen_on_own_address
        from store.hosts.keeping import KeeperStore
        from store.kit.metrics import MetricsPublisher
        from store.kit.redis import Redis

        listen_on_own_address()
        settings = get_settings()
        configure_logging(settings.log_level)
        redis = Redis(settings.effective_redis_url)
        self._keeper = Keeper(
            KeeperStore(settings.host_database_url),
            RayHosts(build, settings.hosts),
            FAMILIES,
            SystemClock(),
        )
        Watchdog(leave).start(asyncio.get_running_loop())
        self._tasks = [
            asyncio.get_running_loop().create_task(kept_running(part.run, type(part).__name__))
            for part in (self._keeper, MetricsPublisher(redis, "keeper"))
        ]
