"""What hosts cost is shown where it can be seen."""

from __future__ import annotations

import os
import subprocess
import sys

from actors.runtime.upkeep import machine_id
from cli.operator.shards import _hosts_table, _loads
from store.hosts.wishes import HostState


def _host(machine: str, pid: int) -> HostState:
    return HostState(f"h{pid}", "build", machine, pid, 1, False)


def test_hosts_of_this_machine_show_how_much_of_a_core_they_use() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        here = machine_id()
        hosts = [_host(here, busy.pid), _host("another", os.getpid()), _host(here, 2**22 + 1)]
        loads = _loads(hosts)
    finally:
        busy.kill()
        busy.wait()
    assert loads.keys() == {busy.pid}, "a process id means something on its own machine only"
    assert loads[busy.pid] > 5
    shown = [line.split()[-1] for line in _hosts_table(hosts, loads)]
    assert shown[1:] == ["%", "1", "1"]
