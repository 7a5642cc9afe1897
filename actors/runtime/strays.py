"""Ends hosts of this machine that lost their lease and still run: stopped, or in a loop that
nothing inside the process can end."""

from __future__ import annotations

from actors.runtime.upkeep import end_process, is_running
from store.hosts import leases
from store.hosts.leases import Incarnation


def end_strays(url: str, machine: str) -> list[Incarnation]:
    """One look; whom it killed. Blocks while it asks the database, and raises as
    `leases.strays` does.

    It goes by pid and birth: a pid that was given to another process since is left alone, and so
    is one whose birth nobody knows.
    """
    lost = leases.strays(url, machine)
    running = [one for one in lost if is_running(one)]
    if gone := [one.id for one in lost if one not in running]:
        leases.bury(url, gone)
    return [one for one in running if end_process(one)]
