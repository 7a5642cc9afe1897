"""Puts the applications of `serve_config.yaml` on a Ray that runs on this machine, and ends.

It asks the way `serve deploy` does, over the dashboard's HTTP, without becoming a process of Ray
itself. What it deploys outlives it.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from core.ray_environment import token_path
from core.settings import Settings, get_settings

# In a checkout as in an installed wheel it lies beside this package.
_FILE = Path(__file__).parent.parent / "serve_config.yaml"
_PATH = "/api/serve/applications/"
_REQUEST_TIMEOUT_SECONDS = 60.0
_TIMEOUT_SECONDS = 180.0
_POLL_SECONDS = 0.1
_RETRY_SECONDS = 1.0


class DeploymentFailed(RuntimeError):
    """An application did not come up; the message is Serve's."""


class NotAnswered(RuntimeError):
    """Serve could not be asked, or not now."""


def configuration(settings: Settings) -> dict[str, Any]:
    """`serve_config.yaml`, fitted to this copy: its address, its layout, what it serves."""
    config: dict[str, Any] = yaml.safe_load(_FILE.read_text())
    # HAProxy alone listens where the API is to be found (`cli.front_door`); what Serve binds
    # behind it, replicas and the proxy that it falls back to, is for HAProxy.
    config["http_options"] = {"host": "127.0.0.1", "port": settings.ports.api}
    if settings.layout == "single":
        config["applications"] = config["applications"][:1]
    for application in config["applications"]:
        application["import_path"] = settings.application
    return config


def deploy(settings: Settings) -> None:
    """Deploys, and returns when every application runs. Raises DeploymentFailed."""
    config = configuration(settings)
    expected = {application["name"] for application in config["applications"]}
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    accepted = False
    state = "Serve was not asked"
    while time.monotonic() < deadline:
        try:
            if not accepted:
                _ask(settings, "PUT", config)
                accepted = True
            applications = _ask(settings, "GET")["applications"]
        except NotAnswered as error:
            # Asking again is safe: it says what is to run, not what to do.
            state = str(error)
            time.sleep(_RETRY_SECONDS)
            continue
        states = {name: details["status"] for name, details in applications.items()}
        if expected <= states.keys() and set(states.values()) == {"RUNNING"}:
            return
        for name, status in states.items():
            if status == "DEPLOY_FAILED":
                raise DeploymentFailed(f"{name}: {applications[name]['message']}")
        state = str(states)
        time.sleep(_POLL_SECONDS)
    raise DeploymentFailed(f"not running in {_TIMEOUT_SECONDS:.0f} s: {state}")


def _ask(settings: Settings, method: str, body: dict[str, Any] | None = None) -> Any:
    connection = http.client.HTTPConnection(
        "127.0.0.1", settings.ports.dashboard, timeout=_REQUEST_TIMEOUT_SECONDS
    )
    headers = {
        "Authorization": f"Bearer {token_path(settings).read_text()}",
        "Content-Type": "application/json",
    }
    try:
        connection.request(method, _PATH, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotAnswered(f"Ray's dashboard does not answer: {error}") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        refused = response.status < http.client.INTERNAL_SERVER_ERROR
        kind = DeploymentFailed if refused else NotAnswered
        raise kind(f"Serve answered {response.status}: {answer.decode()}")
    return json.loads(answer) if answer else None


if __name__ == "__main__":
    try:
        deploy(get_settings())
    except DeploymentFailed as error:
        sys.exit(str(error))
