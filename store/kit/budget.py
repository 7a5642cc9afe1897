"""How a server's connections are divided between replicas, hosts and tools."""

from __future__ import annotations

from core.settings import Settings
from store.kit.engine import POOL_SIZE, PUBLIC_POOL_SIZE
from store.kit.lookups import POOL_SIZE as LOOKUP_POOL_SIZE

# A replica's pools, its watch over directory and keeper, and a probe of a silent server.
CONNECTIONS_PER_REPLICA = POOL_SIZE + PUBLIC_POOL_SIZE + LOOKUP_POOL_SIZE + 2
# A host's batches, renewals, errands, timers, three for look-ups and two for questions. While a
# build takes over from another one there are twice as many hosts, and two keepers.
_CONNECTIONS_PER_HOST = 2 * 9
_CONNECTIONS_OF_KEEPERS = 2 * 2
# Migrations, `holdfast doctor`, a backup, an operator's session.
_CONNECTIONS_OF_TOOLS = 8
_RESERVED_FOR_SUPERUSERS = 3


def connections_of_hosts(settings: Settings) -> int:
    """What hosts and the keeper may need at most."""
    return settings.hosts * _CONNECTIONS_PER_HOST + _CONNECTIONS_OF_KEEPERS


def app_limit(connections: int, settings: Settings) -> int:
    """How many of `connections` are left for replicas, once all others have enough."""
    return max(0, connections - connections_of_hosts(settings) - _CONNECTIONS_OF_TOOLS)


def connections_needed(settings: Settings) -> int:
    """The `max_connections` that is enough for all of them."""
    others = connections_of_hosts(settings) + _CONNECTIONS_OF_TOOLS + _RESERVED_FOR_SUPERUSERS
    return settings.replicas * CONNECTIONS_PER_REPLICA + others
