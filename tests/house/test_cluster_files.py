"""The files for a cluster are what Ray takes, and say the same as `holdfast up` does."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray._private.parameter import RayParams
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start as ray_start
from ray.serve.schema import ServeDeploySchema

from cli.main import app
from cli.supervisor.ray_node import RAY, cluster_command, prepare
from cli.supervisor.ray_start import fitted, head_parameters, node_parameters
from core.ray_environment import QUIET, ray_environment
from core.settings import Settings
from deployments.serving.launch import configuration
from tests.conftest import fresh_settings
from tests.stack import FIRST_PORT

ROOT = Path(__file__).parents[2]
PORT = FIRST_PORT + 800


@pytest.fixture
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return loaded


def test_ray_takes_the_cluster_file(cluster: dict[str, Any]) -> None:
    prepared = prepare_config(cluster)  # as `ray up` does before it validates
    validate_config(prepared)
    assert prepared["max_workers"] == len(cluster["provider"]["worker_ips"])


def test_the_cluster_starts_nodes_with_a_command_that_exists(cluster: dict[str, Any]) -> None:
    known = {command.name for command in app.registered_commands} | {
        command.callback.__name__ for command in app.registered_commands if command.callback
    }
    for key in ("head_setup", "head_start_ray", "worker_start_ray"):
        for line in cluster[f"{key}_commands"]:
            words = shlex.split(line)
            assert words[words.index(".venv/bin/holdfast") + 1] in known


def test_ray_takes_the_flags_of_every_node(home: Settings) -> None:
    commands = {
        "head": cluster_command(home, join=None, autoscaling_config=Path("~/bootstrap.yaml")),
        "worker": cluster_command(home, join="192.0.2.10", autoscaling_config=None),
    }
    parsed = {}
    for name, command in commands.items():
        assert command[: len(RAY) + 1] == [*RAY, "start"]
        parsed[name] = ray_start.make_context("start", command[len(RAY) + 1 :]).params
    head, worker = parsed["head"], parsed["worker"]
    assert worker["address"] == f"192.0.2.10:{home.ports.gcs}"
    for name in ("node_manager_port", "object_manager_port", "metrics_export_port"):
        assert worker[name] == head[name]


def test_the_only_node_is_a_clusters_node(home: Settings) -> None:
    """What one is told by words, the other is told by Ray's own names for them."""
    command = cluster_command(home, join=None, autoscaling_config=None)
    head = ray_start.make_context("start", command[len(RAY) + 1 :]).params
    alone = head_parameters(home) | node_parameters(home)
    assert RayParams(**alone).num_cpus == alone["num_cpus"]
    words = {"gcs_server_port": "port", "metrics_agent_port": "dashboard_agent_grpc_port"}
    assert {name: head[words.get(name, name)] for name in alone} == alone


def test_the_raylet_alone_is_fitted_to_one_machine(home: Settings, tmp_path: Path) -> None:
    raylet = [
        "raylet",
        f"--session_dir={tmp_path}",
        "--node_id=one",
        "--num_prestart_python_workers=4",
        "--maximum_startup_concurrency=2",
        "--labels=",
        "--dashboard_agent_command=python agent.py",
        "--runtime_env_agent_command=python main.py --port=1",
        "--head",
    ]
    ours = fitted(raylet, home)
    assert [word for word in ours if word not in raylet] == [
        "--num_prestart_python_workers=7",
        "--maximum_startup_concurrency=7",
        '--dashboard_agent_command=sh -c "exec sleep 2147483647"',
        '--runtime_env_agent_command=sh -c "exec sleep 2147483647"',
    ]
    assert len(ours) == len(raylet)
    assert len(list(tmp_path.iterdir())) == 4, "it is told that nobody listens"
    other = ["gcs_server", "--session_dir=x", "--labels="]
    assert fitted(other, home) == other


def test_nodes_of_a_cluster_run_in_the_same_environment(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = ray_environment(home)
    of_a_cluster = ray_environment(home, one_machine=False)
    assert alone.keys() - of_a_cluster.keys() == QUIET.keys() | {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
        "RAY_gcs_storage",
        "RAY_gcs_storage_path",
        "RAY_enable_worker_prestart",
        "RAY_num_workers_soft_limit",
        "RAY_raylet_client_connect_timeout_milliseconds",
        "RAY_raylet_client_num_connect_attempts",
        "RAY_raylet_death_check_interval_milliseconds",
        "RAY_gcs_rpc_server_reconnect_timeout_s",
    }
    assert of_a_cluster.items() <= alone.items()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given to all")
    assert of_a_cluster.items() <= prepare(home, one_machine=False).items()


def test_serve_takes_the_serve_file() -> None:
    loaded = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    schema = ServeDeploySchema.model_validate(loaded)
    assert [application.route_prefix for application in schema.applications] == [
        "/",
        "/api/inventory",
    ]
    assert {application.import_path for application in schema.applications} == {
        "deployments.app:build"
    }
    # The keeper looks itself up by this name.
    assert schema.applications[0].name == "holdfast"


@pytest.mark.parametrize(("layout", "count"), [("single", 1), ("split", 2)])
def test_a_copy_serves_what_the_serve_file_says(tmp_path: Path, layout: str, count: int) -> None:
    settings = fresh_settings(tmp_path, port=PORT, layout=layout, host="localhost")
    schema = ServeDeploySchema.model_validate(configuration(settings))
    assert len(schema.applications) == count
    assert (schema.http_options.host, schema.http_options.port) == ("127.0.0.1", PORT)
    assert schema.logging_config is not None
    assert not schema.logging_config.enable_access_log
