"""What Serve's controller does by itself, has no option for, and ours must not do."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_proxies: Any = import_module("ray.serve._private.proxy_state")
_applications: Any = import_module("ray.serve._private.application_state")


def adapt() -> None:
    """Called by the controller when it starts (`RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH`)."""
    _without_fallback_proxy()
    _serve_while_building()


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
