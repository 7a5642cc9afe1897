"""`holdfast node`: a machine's part in a cluster that `ray up` builds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cli.supervisor import ray_node
from core.settings import Settings
from store.embedded.leftovers import end_tagged
from store.kit import cluster

_START_TIMEOUT_SECONDS = 120.0


class NodeNotStarted(RuntimeError):
    """`ray start` failed, and has printed why; or what the message says."""


def start_node(settings: Settings, *, join: str | None, autoscaling_config: Path | None) -> None:
    """Starts the head, or with `join` (the head's address) a node that joins it.

    What an earlier start in this home left on the machine is ended first. Returns when the node
    runs. Raises NodeNotStarted, also where nodes would differ in what must be the same on each.
    """
    _check_needed(settings)
    _check_alike(settings, joins=join is not None)
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


def _check_needed(settings: Settings) -> None:
    missing = [
        settings.variable(name)
        for name in settings.NEEDED_IN_A_CLUSTER
        if getattr(settings, name) is None
    ]
    if "RAY_AUTH_TOKEN" not in os.environ:
        missing.append("RAY_AUTH_TOKEN")
    if missing:
        raise NodeNotStarted(
            f"a node of a cluster needs {', '.join(missing)}: without it each node would make its"
            " own, and refuse what the others say. Set the same on every node"
        )


def _check_alike(settings: Settings, *, joins: bool) -> None:
    try:
        if not joins:
            cluster.say(settings)
        elif differing := cluster.differing(settings):
            raise NodeNotStarted(
                f"the head of the cluster has another {', '.join(differing)}: these must be the"
                " same on every node"
            )
    except cluster.DatabaseSilent as error:
        raise NodeNotStarted(f"DATABASE_URL cannot be asked: {error}") from error
