"""A cluster whose nodes would differ in what must be the same is not started."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.supervisor import node
from cli.supervisor.node import NodeNotStarted, start_node
from core.settings import Settings
from store.kit import cluster

KEY = "-----BEGIN PRIVATE KEY-----one-----END PRIVATE KEY-----"


@pytest.fixture
def told(embedded: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """All that a node of a cluster needs."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given to all")
    changes = {
        "database_url": embedded.owner_database_url,
        "redis_url": embedded.effective_redis_url,
        "signing_key": KEY,
    }
    return embedded.model_copy(update=changes)


@pytest.mark.parametrize("name", [*Settings.NEEDED_IN_A_CLUSTER, None])
def test_a_node_needs_what_each_would_make_for_itself(
    told: Settings, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    if name is None:
        monkeypatch.delenv("RAY_AUTH_TOKEN")
    else:
        told = told.model_copy(update={name: None})
    wanted = Settings.variable(name) if name else "RAY_AUTH_TOKEN"
    with pytest.raises(NodeNotStarted, match=f"needs {wanted}:"):
        start_node(told, join=None, autoscaling_config=None)


def test_every_setting_but_a_nodes_own_is_compared_with_the_heads(
    told: Settings, tmp_path: Path
) -> None:
    cluster.say(told)
    own = {"home": tmp_path, "host": "0.0.0.0", "log_level": "DEBUG", "ray_dashboard": True}
    assert own.keys() == Settings.OF_A_NODE
    assert cluster.differing(told.model_copy(update=own)) == []
    for name, value in told.of_all_nodes().items():
        if name == "database_url":  # another database has what another head said
            continue
        other = told.model_copy(update={name: f"{value}, or so"})
        assert cluster.differing(other) == [Settings.variable(name)]
        with pytest.raises(NodeNotStarted, match=f"has another {Settings.variable(name)}:"):
            node._check_alike(other, joins=True)


def test_a_database_that_does_not_answer_is_told(told: Settings) -> None:
    away = told.model_copy(update={"database_url": "postgresql://x@/y?host=/nowhere"})
    with pytest.raises(NodeNotStarted, match="DATABASE_URL cannot be asked"):
        start_node(away, join=None, autoscaling_config=None)
