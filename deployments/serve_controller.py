"""What Serve's controller does by itself, has no option for, and ours must not do."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_proxies: Any = import_module("ray.serve._private.proxy_state")


def without_fallback_proxy() -> None:
    """Called by the controller when it starts (`RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH`).

    On the head Serve keeps a proxy in Python for applications that have no replica at all. Ours
    always have some; while they are being started, HAProxy says "try again" by itself.
    """
    _proxies.ProxyStateManager._start_fallback_proxy_if_needed = lambda *_: None
