"""What Serve's controller does otherwise with us: it goes back after a deploy that failed, and
rests while all is well."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.serving import serve_controller

_applications: Any = import_module("ray.serve._private.application_state")
Status = _applications.ApplicationStatus


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An application's state in Serve's controller, adapted as ours is."""
    kind = _applications.ApplicationState
    for name in ("_set_target_state", "_update_status"):
        monkeypatch.setattr(kind, name, getattr(kind, name))
    serve_controller._serve_while_building()
    serve_controller._go_back_after_failures()
    one = kind.__new__(kind)
    one._name, one._status_msg, one._target_state = "holdfast", "", None
    one._ingress_deployment_name = one._ingress_request_router_deployment_name = None
    _deploy(one, "old")
    one._update_status(Status.RUNNING)
    return one


def _deploy(state: Any, version: str | None) -> None:
    """To `version`; None while it is being built."""
    info = SimpleNamespace(ingress=True, ingress_request_router=False)
    infos = {"api": info} if version else None
    state._set_target_state(infos, api_type=None, code_version=version, target_config=None)


def test_what_failed_is_taken_back(state: Any) -> None:
    served = state._target_state
    _deploy(state, None)
    _deploy(state, "young")
    assert state._target_state is not served
    state._update_status(Status.DEPLOYING)
    state._update_status(Status.DEPLOY_FAILED, "its keeper does not start")
    assert state._target_state is served, "Serve replaces whatever is of another one"
    state._update_status(Status.DEPLOYING)
    state._update_status(Status.RUNNING)
    assert (state._status, state._status_msg) == (Status.DEPLOY_FAILED, "its keeper does not start")
    _deploy(state, "younger")
    state._update_status(Status.RUNNING)
    assert state._status == Status.RUNNING
    assert state._target_state.code_version == "younger"


def test_what_cannot_be_built_leaves_what_serves(state: Any) -> None:
    served = state._target_state
    _deploy(state, None)
    state._update_status(Status.DEPLOY_FAILED, "no module of that name")
    assert state._target_state is served, "Serve looks after nothing else meanwhile"
    assert state._ingress_deployment_name == "api"


def test_what_does_not_end_has_failed(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served = state._target_state
    _deploy(state, "young")
    state._update_status(Status.DEPLOYING)
    assert state._target_state is not served
    monkeypatch.setattr(serve_controller, "_TIMEOUT_SECONDS", 0.0)
    state._update_status(Status.DEPLOYING)
    assert state._target_state is served
    assert state._status == Status.DEPLOY_FAILED


def test_what_breaks_later_is_no_failed_deploy(state: Any) -> None:
    served = state._target_state
    state._update_status(Status.UNHEALTHY, "a replica died")
    assert state._target_state is served
    assert state._status == Status.UNHEALTHY


def test_the_controller_rests_while_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    controller: Any = import_module("ray.serve._private.controller")
    kind = _applications.ApplicationStateManager
    monkeypatch.setattr(kind, "update", lambda self: None)
    monkeypatch.setattr(controller, "CONTROL_LOOP_INTERVAL_S", None)
    serve_controller._rest_while_all_is_well()
    manager = kind.__new__(kind)
    for statuses, pace in (
        ([], serve_controller.BUSY_PACE_SECONDS),
        ([Status.RUNNING, Status.RUNNING], serve_controller.CALM_PACE_SECONDS),
        ([Status.RUNNING, Status.DEPLOYING], serve_controller.BUSY_PACE_SECONDS),
        ([Status.UNHEALTHY], serve_controller.BUSY_PACE_SECONDS),
        ([Status.DEPLOY_FAILED], serve_controller.CALM_PACE_SECONDS),
    ):
        manager._application_states = {
            str(number): SimpleNamespace(status=status) for number, status in enumerate(statuses)
        }
        manager.update()
        assert pace == controller.CONTROL_LOOP_INTERVAL_S, statuses
