"""What Serve's controller does by itself, has no option for, and ours must not do."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

# Of the controller's loop: while something is being started or replaced, and otherwise.
BUSY_PACE_SECONDS = 0.1
CALM_PACE_SECONDS = 1.0
# A little less than a deployment waits.
_TIMEOUT_SECONDS = 150.0

_proxies: Any = import_module("ray.serve._private.proxy_state")
_applications: Any = import_module("ray.serve._private.application_state")


def adapt() -> None:
    """Called by the controller when it starts (`RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH`)."""
    _without_fallback_proxy()
    _serve_while_building()
    _go_back_after_failures()
    _rest_while_all_is_well()


def _without_fallback_proxy() -> None:
    """On the head Serve keeps a proxy in Python for applications that have no replica at all. Ours
    always have some; while they are being started, HAProxy says "try again" by itself.
    """
    _proxies.ProxyStateManager._start_fallback_proxy_if_needed = lambda *_: None


def _serve_while_building() -> None:
    """While Serve builds the next version of an application it does not know which of its
    deployments answers HTTP, and takes all replicas away from HAProxy for so long. Until it knows
    better, that is the one that it was."""
    state = _applications.ApplicationState
    set_target_state = state._set_target_state

    def keep_ingress(self: Any, deployment_infos: Any, **rest: Any) -> None:
        before = self._ingress_deployment_name
        set_target_state(self, deployment_infos, **rest)
        if deployment_infos is None and not rest.get("deleting"):
            self._ingress_deployment_name = before

    state._set_target_state = keep_ingress


def _go_back_after_failures() -> None:
    """After a deploy that failed Serve leaves those replicas of the new build that came up beside
    those of the old one that it has not replaced yet. Ours goes back to what served, and says that
    the deploy failed until there is another one. So it does with one that does not end.
    """
    state, status = _applications.ApplicationState, _applications.ApplicationStatus
    set_target_state, update_status = state._set_target_state, state._update_status
    state._served = state._failure = None
    state._began_at = 0.0

    def begin(self: Any, *arguments: Any, **options: Any) -> None:
        self._failure, self._began_at = None, time.monotonic()
        set_target_state(self, *arguments, **options)

    def update(self: Any, found: Any, message: str = "") -> None:
        is_new = self._served is not None and self._target_state is not self._served
        late = found == status.DEPLOYING and time.monotonic() - self._began_at > _TIMEOUT_SECONDS
        if is_new and late:
            found, message = status.DEPLOY_FAILED, f"not running in {_TIMEOUT_SECONDS:.0f} s"
        if found == status.RUNNING and self._failure is None:
            self._served = self._target_state
        elif found == status.DEPLOY_FAILED and is_new:
            self._failure = message or "it failed"
            self._target_state = self._served
            infos = self._served.deployment_infos.items()
            self._ingress_deployment_name = next(name for name, info in infos if info.ingress)
        if self._failure is not None:
            found, message = status.DEPLOY_FAILED, self._failure
        update_status(self, found, message)

    state._set_target_state, state._update_status = begin, update


def _rest_while_all_is_well() -> None:
    """The controller looks at everything ten times a second, which an idle machine feels. While all
    applications run there is nothing to do but to look after replicas, every other second."""
    controller: Any = import_module("ray.serve._private.controller")
    manager, status = _applications.ApplicationStateManager, _applications.ApplicationStatus
    settled = (status.RUNNING, status.DEPLOY_FAILED)
    update = manager.update

    def pace(self: Any) -> None:
        update(self)
        found = [state.status for state in self._application_states.values()]
        is_calm = bool(found) and all(status in settled for status in found)
        controller.CONTROL_LOOP_INTERVAL_S = CALM_PACE_SECONDS if is_calm else BUSY_PACE_SECONDS

    manager.update = pace
