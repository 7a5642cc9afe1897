"""`holdfast deploy`: this build takes the place of the one that runs, while that serves on."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from cli.supervisor import ray_node
from cli.supervisor.home import running_supervisor
from cli.supervisor.restarts import restarts
from core.build import build_id
from core.settings import Settings
from store.kit import servers

_TIMEOUT_SECONDS = 420.0
_LOOK_EVERY_SECONDS = 0.5
_COMMAND = (sys.executable, "-m", "deployments.serving.launch")


class NotDeployed(RuntimeError):
    """Nothing runs here, or the new build did not come up; the old one serves on."""


def deploy(settings: Settings) -> str:
    """Brings the schema up to date, then replaces replicas and hosts one by one; returns when
    nothing is left of the build before, and says so. Raises NotDeployed, and what a migration
    raises."""
    if running_supervisor(settings) is None:
        raise NotDeployed(f"nothing runs in {settings.home_path}: start it with `holdfast up`")
    _check_ray(settings)
    servers.prepare(settings.owner_database_url, settings)
    with tempfile.TemporaryFile() as errors:
        launch = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=ray_node.environment(settings),
        )
        try:
            code = _wait(launch, settings)
        finally:
            launch.kill()
            launch.wait()
        if code:
            errors.seek(0)
            raise NotDeployed(errors.read().decode(errors="replace").strip().rpartition("\n")[2])
    return f"Build {build_id()} serves, and nothing is left of another one."


def _wait(launch: subprocess.Popen[bytes], settings: Settings) -> int:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            return launch.wait(_LOOK_EVERY_SECONDS)
        except subprocess.TimeoutExpired:
            # Of a Ray that is lost it would hear nothing for minutes.
            _check_ray(settings)
    raise NotDeployed(f"not done in {_TIMEOUT_SECONDS:.0f} s")


def _check_ray(settings: Settings) -> None:
    seen = restarts(settings.home_path)
    if seen is not None and not seen.is_up:
        why = (
            f"{seen.under_way}; Ray is being started again" if seen.under_way else "Ray is starting"
        )
        raise NotDeployed(f"{why}: deploy again when `holdfast doctor` finds that it is up")
