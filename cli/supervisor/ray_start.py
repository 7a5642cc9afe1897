"""Starts a copy's only node of Ray and what is served on it, and ends when all of that runs.

A process of its own, which the supervisor begins: `python -m cli.supervisor.ray_start`. It does
what `ray start` and then `serve deploy` would do, in a third of their time, because each of these
loads a command line for clusters first, and one waits for the other. It imports no more of our code
than it needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from core.build import code_digest
from core.ray_environment import workers
from core.settings import Settings, get_settings
from deployments.serving.launch import DeploymentFailed, Launch

OBJECT_STORE_BYTES = 150_000_000
# Actors ask for fractions, so this counts slots, not cores: it must hold the hosts and replicas
# of a small machine too.
MIN_CPUS = 4
SLEEPER = "sleep 2147483647"
# The names of the raylet's agents in lists of processes, with a dashboard and without.
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent", SLEEPER)
_AGENTS = ("--dashboard_agent_command", "--runtime_env_agent_command")
_NOTHING = f'sh -c "exec {SLEEPER}"'


def ray_dir(settings: Settings) -> Path:
    """Ray's temporary folder, with its sessions and their logs."""
    return settings.run_dir / "ray"


def head_parameters(settings: Settings, *, with_dashboard: bool = True) -> dict[str, Any]:
    """The parameters that make a node the head, by Ray's names. In a cluster `serve deploy` goes
    through the dashboard."""
    return {
        "gcs_server_port": settings.ports.gcs,
        "include_dashboard": with_dashboard,
        "dashboard_host": "127.0.0.1",
        "dashboard_port": settings.ports.dashboard,
    }


def node_parameters(settings: Settings) -> dict[str, Any]:
    """The parameters of every node: all ports, so that none has a default that another copy
    shares."""
    ports = settings.ports
    return {
        "dashboard_agent_listen_port": ports.dashboard_agent_http,
        "metrics_agent_port": ports.dashboard_agent_grpc,
        "runtime_env_agent_port": ports.runtime_env_agent,
        "node_manager_port": ports.node_manager,
        "object_manager_port": ports.object_manager,
        "metrics_export_port": ports.ray_metrics,
        # Workers take ports that the system finds free: a fixed range would be shared.
        "min_worker_port": 0,
        "max_worker_port": 0,
        "temp_dir": str(ray_dir(settings)),
        "object_store_memory": OBJECT_STORE_BYTES,
        "num_cpus": max(MIN_CPUS, os.cpu_count() or 1),
        # Forwards output of workers to drivers; there is none.
        "include_log_monitor": False,
    }


def start_node(settings: Settings) -> None:
    """Starts the node. Returns when the GCS and the raylet run; they outlive this process."""
    services: Any = import_module("ray._private.services")
    node: Any = import_module("ray._private.node")
    parameter: Any = import_module("ray._private.parameter")
    start = services.start_ray_process
    services.start_ray_process = lambda command, *rest, **named: start(
        fitted(command, settings), *rest, **named
    )
    if not settings.ray_dashboard:
        # The dashboard has no option that turns it off: without its pages it still is a process.
        services.start_api_server = lambda *_, **__: (None, None)
    parameters = head_parameters(settings, with_dashboard=settings.ray_dashboard)
    parameters |= node_parameters(settings)
    parameters["node_ip_address"] = services.get_node_ip_address()
    # Without the autoscaler's monitor: there is nothing to scale.
    ray_params = parameter.RayParams(no_monitor=True, **parameters)
    node.Node(ray_params, head=True, shutdown_at_exit=False, spawn_reaper=False)


def fitted(command: Sequence[str], settings: Settings) -> list[str]:
    """The raylet's command line, changed for one machine; other command lines as they are.

    The raylet starts its workers ahead, all at once. And without a dashboard its agents, each as
    large as a worker, are replaced by two processes that only sleep: agents report to a dashboard,
    and prepare machines for programs that are sent there. The raylet requires that they run, and
    that it learns where they listen: nowhere.
    """
    options = dict(word.partition("=")[::2] for word in command)
    if not options.keys() >= set(_AGENTS):
        return list(command)
    ahead = str(workers(settings))
    ours = {"--num_prestart_python_workers": ahead, "--maximum_startup_concurrency": ahead}
    if not settings.ray_dashboard:
        ours |= dict.fromkeys(_AGENTS, _NOTHING)
        raylet: Any = import_module("ray._raylet")
        for name in (
            "METRICS_AGENT",
            "METRICS_EXPORT",
            "DASHBOARD_AGENT_LISTEN",
            "RUNTIME_ENV_AGENT",
        ):
            port = getattr(raylet, f"{name}_PORT_NAME")
            raylet.persist_port(options["--session_dir"], options["--node_id"], port, -1)
    names = (word.partition("=")[0] for word in command)
    return [
        f"{name}={ours[name]}" if name in ours else word
        for name, word in zip(names, command, strict=True)
    ]


def main() -> None:
    settings = get_settings()
    import_module("ray")
    with ThreadPoolExecutor(1) as pool:
        node = pool.submit(start_node, settings)
        launch = Launch(settings)
        node.result()
    # The database may still be getting ready: a line on standard input says for which code it is.
    if ready_for := sys.stdin.readline().strip():
        prepare_database(settings, ready_for)
        launch.run()


def prepare_database(settings: Settings, ready_for: str) -> None:
    """Brings the schema up to date where it was made ready for other code than ours: a supervisor
    is of the build that it was started with, and what it starts of the one that is installed.
    Raises DeploymentFailed."""
    if ready_for == code_digest():
        return
    from store.kit import migrate, servers  # which would keep every other start waiting

    try:
        servers.prepare(settings.owner_database_url, settings)
    except (migrate.MigrationBlocked, migrate.UnknownMigration, servers.UnusableServer) as error:
        raise DeploymentFailed(str(error)) from error


if __name__ == "__main__":
    try:
        main()
    except DeploymentFailed as error:
        sys.exit(str(error))
