"""Puts the applications of `serve_config.yaml` on a Ray that runs on this machine, and ends.

It does what `serve deploy` has Ray's dashboard do, without one. What it deploys outlives it, and
takes the place of another build's that runs there: replica by replica, shard by shard.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from core.build import build_id
from core.settings import Settings, get_settings

# In a checkout as in an installed wheel it lies beside this package.
_FILE = Path(__file__).parents[2] / "serve_config.yaml"
_TIMEOUT_SECONDS = 180.0
_POLL_SECONDS = 0.1


class DeploymentFailed(RuntimeError):
    """An application did not come up; the message is Serve's."""


def configuration(settings: Settings) -> dict[str, Any]:
    """`serve_config.yaml`, fitted to this copy: its address, its layout, what it serves."""
    config: dict[str, Any] = yaml.safe_load(_FILE.read_text())
    # HAProxy alone listens where the API is to be found (`cli.supervisor.front_door`); what Serve
    # binds behind it, replicas and the proxy that it falls back to, is for HAProxy.
    config["http_options"] = {"host": "127.0.0.1", "port": settings.ports.api}
    if settings.layout == "single":
        config["applications"] = config["applications"][:1]
    for application in config["applications"]:
        application["import_path"] = settings.application
        # Serve looks at this file alone to see whether there is anything new.
        application["args"]["build"] = build_id()
    return config


class Launch:
    """The first deployment on a Ray. To make it loads all that it needs; Ray may still be starting
    then.

    It builds the applications itself, where `deploy` has Serve start a process that does.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        serve: Any = import_module("ray.serve")
        self._config = _parsed(settings)
        self._targets = [
            serve.RunTarget(
                target=_builder(application.import_path)(application.args),
                name=application.name,
                route_prefix=application.route_prefix,
                logging_config=self._config.logging_config,
            )
            for application in self._config.applications
        ]

    def run(self) -> None:
        """Deploys, and returns when every application runs. Raises DeploymentFailed."""
        from actors.runtime.remote import RayHosts  # not where the configuration is only read

        serve: Any = import_module("ray.serve")
        _connect(self._settings)
        # Begun now, they are there when the keeper first looks for them.
        asyncio.run(RayHosts(build_id(), self._settings.hosts).ensure())
        client = _start_serve(self._config)
        serve.run_many(
            self._targets,
            wait_for_ingress_deployment_creation=False,
            wait_for_applications_running=False,
        )
        _wait_until_running(client, {target.name for target in self._targets})


def _parsed(settings: Settings) -> Any:
    schema: Any = import_module("ray.serve.schema")
    return schema.ServeDeploySchema.model_validate(configuration(settings))


def _builder(import_path: str) -> Callable[[dict[str, Any]], Any]:
    module, _, name = import_path.partition(":")
    builder: Callable[[dict[str, Any]], Any] = getattr(import_module(module), name)
    return builder


def _connect(settings: Settings) -> None:
    ray: Any = import_module("ray")
    ray.init(
        address=f"127.0.0.1:{settings.ports.gcs}",
        namespace="serve",
        log_to_driver=False,
        logging_level=logging.WARNING,
    )


def _start_serve(config: Any) -> Any:
    """Serve's controller, by a client for it. `serve.start` would also wait for HAProxy's
    manager, which replicas need not: both start at once."""
    api: Any = import_module("ray.serve._private.api")
    context: Any = import_module("ray.serve.context")
    controller, _ = api._create_controller_and_proxy_refs(
        http_options=config.http_options.model_dump(),
        grpc_options=config.grpc_options.model_dump(),
        global_logging_config=config.logging_config,
        global_tracing_config=None,
        controller_options=api.ControllerOptions(),
        proxy_location=config.proxy_location,
    )
    client = api.ServeControllerClient(controller)
    context._set_global_client(client)
    return client


def deploy(settings: Settings) -> None:
    """Deploys, and returns when every application runs and nothing is left of another build.
    Raises DeploymentFailed."""
    from actors.runtime.remote import RayHosts  # not where the configuration is only read

    api: Any = import_module("ray.serve._private.api")
    config = _parsed(settings)
    _connect(settings)
    hosts = RayHosts(build_id(), settings.hosts)
    if not asyncio.run(hosts.others()):
        # Begun now, they are there when the keeper first looks for them. Where another build
        # serves, its keeper would end hosts that it does not know.
        asyncio.run(hosts.ensure())
    client = api.serve_start(
        http_options=config.http_options.model_dump(),
        proxy_location=config.proxy_location,
        grpc_options=config.grpc_options.model_dump(),
        global_logging_config=config.logging_config,
    )
    client.deploy_apps(config)
    _wait_until_running(client, {application.name for application in config.applications})
    _wait_until_gone(lambda: asyncio.run(hosts.others()))


def _wait_until_running(client: Any, expected: set[str]) -> None:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    state = "nothing is known"
    while time.monotonic() < deadline:
        found = {name: client.get_serve_status(name).app_status for name in sorted(expected)}
        if all(status.status == "RUNNING" for status in found.values()):
            return
        for name, status in found.items():
            if status.status == "DEPLOY_FAILED":
                raise DeploymentFailed(f"{name}: {status.message}")
        state = str({name: str(status.status) for name, status in found.items()})
        time.sleep(_POLL_SECONDS)
    raise DeploymentFailed(f"not running in {_TIMEOUT_SECONDS:.0f} s: {state}")


def _wait_until_gone(others: Callable[[], Collection[str]]) -> None:
    """Until hosts of other builds have handed their shards over, and were dismissed."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while left := others():
        if time.monotonic() > deadline:
            raise DeploymentFailed(f"after {_TIMEOUT_SECONDS:.0f} s still there: {sorted(left)}")
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    try:
        deploy(get_settings())
    except DeploymentFailed as error:
        sys.exit(str(error))
