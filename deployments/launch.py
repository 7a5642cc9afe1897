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
_TIMEOUT_SECONDS = 90.0
_POLL_SECONDS = 0.1


class DeploymentFailed(RuntimeError):
    """An application did not come up; the message is Serve's."""


def configuration(settings: Settings) -> dict[str, Any]:
    """`serve_config.yaml`, fitted to this copy: its address, its layout, what it serves."""
    config: dict[str, Any] = yaml.safe_load(_FILE.read_text())
    config["http_options"] = {
        "host": "127.0.0.1" if settings.host == "localhost" else settings.host,
        "port": settings.ports.api,
    }
    if settings.layout == "single":
        config["applications"] = config["applications"][:1]
    for application in config["applications"]:
        application["import_path"] = settings.application
    return config


def deploy(settings: Settings) -> None:
    """Deploys, and returns when every application runs. Raises DeploymentFailed."""
    config = configuration(settings)
    expected = {application["name"] for application in config["applications"]}
    _ask(settings, "PUT", config)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        applications = _ask(settings, "GET")["applications"]
        states = {name: details["status"] for name, details in applications.items()}
        if expected <= states.keys() and set(states.values()) == {"RUNNING"}:
            return
        for name, state in states.items():
            if state == "DEPLOY_FAILED":
                raise DeploymentFailed(f"{name}: {applications[name]['message']}")
        if time.monotonic() > deadline:
            raise DeploymentFailed(f"not running in {_TIMEOUT_SECONDS:.0f} s: {states}")
        time.sleep(_POLL_SECONDS)


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
        raise DeploymentFailed(f"Ray's dashboard does not answer: {error}") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise DeploymentFailed(f"Serve answered {response.status}: {answer.decode()}")
    return json.loads(answer) if answer else None


if __name__ == "__main__":
    try:
        deploy(get_settings())
    except DeploymentFailed as error:
        sys.exit(str(error))
