"""Builds Serve applications out of capabilities; what runs in them is
`deployments.serving.replica`.

One `build` makes any split. Without arguments it is the whole API, at "/", with the keeper; with
`{"capability": "inventory"}` only that one, to be mounted at its prefix in front of the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ray import serve
from ray.serve.handle import DeploymentHandle

from core.build import build_id
from core.garbage import collecting_nothing
from core.settings import get_settings
from deployments.serving.keeper import KeeperReplica

if TYPE_CHECKING:
    from fastapi import FastAPI

KEEPER = "keeper"
REPLICA_CPUS = 0.2
KEEPER_CPUS = 0.05
# At a deploy a new replica serves before an old one leaves.
REPLICAS_SURGE_PERCENT = 50
MAX_ONGOING_REQUESTS = 1_000
MAX_QUEUED_REQUESTS = 4_000


def build(args: dict[str, Any]) -> serve.Application:
    """A Serve application. `args` may hold `capability`, the name of the only one to serve,
    `replicas`, and `build`, what hosts are called by: where that is another one than before,
    Serve replaces all that runs."""
    settings = get_settings()
    name = args.get("capability")

    def build_app() -> FastAPI:  # called in the replica; Serve takes plain functions only
        with collecting_nothing():
            from deployments.serving.replica import make_app

            return make_app(name)

    api: Any = serve.deployment(
        serve.ingress(build_app)(_Replica),
        name=name or "api",
        num_replicas=int(args.get("replicas", settings.replicas)),
        max_surge_percent=REPLICAS_SURGE_PERCENT,
        max_ongoing_requests=MAX_ONGOING_REQUESTS,
        max_queued_requests=MAX_QUEUED_REQUESTS,
        graceful_shutdown_timeout_s=5,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=2,
        health_check_timeout_s=10,
        ray_actor_options={"num_cpus": REPLICA_CPUS},
    )
    if name:
        return cast(serve.Application, api.bind())
    keeper: Any = serve.deployment(
        KeeperReplica,
        name=KEEPER,
        num_replicas=1,
        graceful_shutdown_timeout_s=1,
        health_check_period_s=2,
        health_check_timeout_s=10,
        ray_actor_options={"num_cpus": KEEPER_CPUS},
    )
    return cast(serve.Application, api.bind(keeper.bind(args.get("build") or build_id())))


class _Replica:
    """What Serve runs; the application inside answers everything."""

    def __init__(self, keeper: DeploymentHandle[Any] | None = None) -> None:
        """Takes the keeper only so that Serve starts it with the application."""
        with collecting_nothing():
            from deployments.serving.replica import prepare

        prepare()
