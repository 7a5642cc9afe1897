"""`holdfast deploy`: this build takes the place of the one that runs, while that serves on."""

from __future__ import annotations

import subprocess
import sys

from cli import ray_node
from cli.home import running_supervisor
from core.build import build_id
from core.settings import Settings
from store import servers

_TIMEOUT_SECONDS = 420.0


class NotDeployed(RuntimeError):
    """Nothing runs here, or the new build did not come up; the old one serves on."""


def deploy(settings: Settings) -> str:
    """Brings the schema up to date, then replaces replicas and hosts one by one; returns when
    nothing is left of the build before, and says so. Raises NotDeployed, and what a migration
    raises."""
    if running_supervisor(settings) is None:
        raise NotDeployed(f"nothing runs in {settings.home_path}: start it with `holdfast up`")
    servers.prepare(settings.owner_database_url, settings)
    command = [sys.executable, "-m", "deployments.launch"]
    try:
        launch = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=ray_node.environment(settings),
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotDeployed(f"not done in {_TIMEOUT_SECONDS:.0f} s") from error
    if launch.returncode:
        raise NotDeployed(launch.stderr.strip().rpartition("\n")[2])
    return f"Build {build_id()} serves, and nothing is left of another one."
