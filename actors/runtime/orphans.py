"""Ends hosts of this machine that lost their lease and still run: stopped, or in a loop that
nothing inside the process can end."""

from __future__ import annotations

from actors.runtime.upkeep import end_process, is_running
from store.hosts import leases
from store.hosts.leases import Incarnation


def end_orphans(url: str, machine: str) -> list[Incarnation]:
    """Looks once, and returns the incarnations that it killed. Blocks while it asks the database,
    and raises as `leases.orphans` does.

    It goes by pid and birth: a pid that was given to another process since is left alone, and so
    is one whose birth nobody knows.
    """
    lost = leases.orphans(url, machine)
    running = [incarnation for incarnation in lost if is_running(incarnation)]
    if gone := [incarnation.id for incarnation in lost if incarnation not in running]:
        leases.mark_ended(url, gone)
    return [incarnation for incarnation in running if end_process(incarnation)]
