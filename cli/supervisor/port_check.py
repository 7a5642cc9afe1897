"""Whether the ports of this copy are free, asked before anything starts."""

from __future__ import annotations

import socket

from core.settings import Ports

_ANSWER_SECONDS = 0.5


class PortsBusy(RuntimeError):
    """Some port of this copy's span is taken by another process."""


def check_ports(ports: Ports) -> None:
    """Raises PortsBusy, naming each port that a process listens on."""
    busy = [port for port in span(ports) if not _is_free(port)]
    if busy:
        listed = ", ".join(str(port) for port in busy)
        raise PortsBusy(
            f"in use by another program: port {listed}. Holdfast needs {ports.api} to"
            f" {ports.api + ports.SPAN - 1}; set HOLDFAST_PORT to move them all"
        )


def span(ports: Ports) -> range:
    """Every port that the copy owns."""
    return range(ports.api, ports.api + ports.SPAN)


def _is_free(port: int) -> bool:
    """Whether no process answers on loopback. Trying to listen there would tell less: connections
    of an earlier run that are still closing can forbid that for a minute."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_SECONDS)
        try:
            probe.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
