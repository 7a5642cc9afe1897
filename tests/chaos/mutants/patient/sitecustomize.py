"""A mutant: replicas that wait for Redis, however long it takes."""

import os
from pathlib import Path

from store.kit import redis

redis.PAUSE_SECONDS.__float__  # noqa: B018
redis.PAUSE_SECONDS = 0.0
redis.Redis.__init__.__kwdefaults__["timeout_seconds"] = 60.0
Path(os.environ["HOLDFAST_HOME"], "mutated").touch()
