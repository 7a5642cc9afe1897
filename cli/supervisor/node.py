"""`holdfast node`: a machine's part in a cluster that `ray up` builds."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cli.supervisor import ray_node
from core.settings import Settings
from store.embedded.leftovers import end_tagged

_START_TIMEOUT_SECONDS = 120.0


class NodeNotStarted(RuntimeError):
    """`ray start` failed; it has printed why."""


def start_node(settings: Settings, *, join: str | None, autoscaling_config: Path | None) -> None:
    """Starts the head, or with `join` (the head's address) a node that joins it.

    What an earlier start in this home left on the machine is ended first. Returns when the node
    runs. Raises NodeNotStarted.
    """
    end_tagged(settings, "ray")
    environment = ray_node.prepare(settings, one_machine=False)
    command = ray_node.cluster_command(settings, join=join, autoscaling_config=autoscaling_config)
    try:
        code = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=_START_TIMEOUT_SECONDS,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise NodeNotStarted(f"not started in {_START_TIMEOUT_SECONDS:.0f} s") from error
    if code:
        raise NodeNotStarted(f"`ray start` ended with {code}")
