"""What operators ask: alive, ready, figures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.settings import Settings
from deployments import meta
from store.embedded import space
from store.kit.metrics import MetricsPublisher
from tests.api.harness import serving


async def well() -> None: ...


async def unwell() -> None:
    raise RuntimeError("secret reason")


async def test_alive(embedded: Settings) -> None:
    async with serving(embedded) as served:
        answer = await served.http.get("/health")
        assert answer.status_code == 200
        assert answer.json()["data"]["status"] == "ok"


async def test_ready_when_every_check_is_well(embedded: Settings) -> None:
    async with serving(embedded, checks={"postgres": well, "redis": well}) as served:
        answer = await served.http.get("/ready")
        assert answer.json()["data"] == {
            "status": "ready",
            "checks": {"postgres": "ok", "redis": "ok"},
        }


async def test_without_redis_it_is_degraded_but_ready(embedded: Settings) -> None:
    async with serving(embedded, redis_url="unix:///nowhere/redis.sock") as served:
        served.resources.checks = {"postgres": well, "redis": served.resources.redis.ping}
        answer = await served.http.get("/ready")
        assert answer.status_code == 200
        assert answer.json()["data"]["status"] == "degraded"
        assert answer.json()["data"]["checks"]["redis"] == "failed"


async def test_degraded_is_not_dead(embedded: Settings) -> None:
    """Who is served stays so without a keeper, and while other shards wait for an owner."""

    async def partly() -> None:
        raise meta.Degraded("a secret reason")

    for checks, states in (
        ({"postgres": well, "hosts": partly}, {"postgres": "ok", "hosts": "degraded"}),
        ({"postgres": well, "keeper": unwell}, {"postgres": "ok", "keeper": "failed"}),
    ):
        async with serving(embedded, checks=checks) as served:
            answer = await served.http.get("/ready")
            assert answer.status_code == 200
            assert answer.json()["data"] == {"status": "degraded", "checks": states}


async def test_unready_says_which_and_not_why(embedded: Settings) -> None:
    async with serving(embedded, checks={"postgres": well, "hosts": unwell}) as served:
        answer = await served.http.get("/ready")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["checks"] == {"postgres": "ok", "hosts": "failed"}
        assert "secret reason" not in answer.text


async def test_many_who_ask_at_once_ask_once(embedded: Settings) -> None:
    asked = 0

    async def count() -> None:
        nonlocal asked
        asked += 1

    async with serving(embedded, checks={"postgres": count}) as served:
        for _ in range(20):
            assert (await served.http.get("/ready")).status_code == 200
    assert 1 <= asked <= 1 + 20 * 0.5 / meta.REMEMBERED_SECONDS


async def test_metrics_of_all_processes(embedded: Settings) -> None:
    async with serving(embedded, process="replica-7", peer="127.0.0.1") as served:
        await MetricsPublisher(served.resources.redis, "host-commerce-0").publish()
        await served.http.get("/health")
        answer = await served.http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        families = {f.name: f for f in text_string_to_metric_families(answer.text)}
        requests = families["holdfast_http_requests"]
        assert {"replica-7", "host-commerce-0"} <= {s.labels["process"] for s in requests.samples}
        assert any(s.labels["route"] == "/health" for s in requests.samples)


async def test_what_writes_is_refused_while_the_disk_is_full(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(embedded) as served:
        checks = {"postgres": well, "disk": served.resources.edge.space.is_well}
        served.resources.checks = checks
        wrong = {"email": "nobody@example.com", "password": "correct horse battery"}
        monkeypatch.setattr(space, "REMEMBERED_SECONDS", 0.0)
        monkeypatch.setattr(space, "MIN_FREE_BYTES", 2**62)
        refused = await served.http.post("/api/auth/login", json=wrong)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "2"
        assert (await served.http.get("/health")).status_code == 200
        answer = await served.http.get("/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"postgres": "ok", "disk": "failed"}
        monkeypatch.setattr(space, "MIN_FREE_BYTES", 0)
        assert (await served.http.post("/api/auth/login", json=wrong)).status_code == 401


@pytest.mark.parametrize(
    ("token", "environment", "peer", "given", "status"),
    [
        (None, "development", "127.0.0.1", None, 200),
        (None, "development", "203.0.113.7", None, 401),
        (None, "production", "127.0.0.1", None, 401),
        (None, "production", "127.0.0.1", "None", 401),
        ("a-token-of-operators", "development", "127.0.0.1", None, 401),
        ("a-token-of-operators", "production", "203.0.113.7", "a-token-of-operator", 401),
        ("a-token-of-operators", "production", "203.0.113.7", "a-token-of-operators", 200),
    ],
)
async def test_metrics_are_for_operators(
    embedded: Settings,
    token: str | None,
    environment: str,
    peer: str,
    given: str | None,
    status: int,
) -> None:
    update = {"metrics_token": token, "environment": environment}
    async with serving(embedded.model_copy(update=update), peer=peer) as served:
        headers = {"Authorization": f"Bearer {given}"} if given else {}
        answer = await served.http.get("/metrics", headers=headers)
    assert answer.status_code == status
    assert ("holdfast_" in answer.text) is (status == 200)


async def test_metrics_are_gathered_once_a_second(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered = 0

    async def count(*_: Any) -> bytes:
        nonlocal gathered
        gathered += 1
        return b""

    monkeypatch.setattr(meta, "exposition", count)
    monkeypatch.setattr(meta, "FIGURES_REMEMBERED_SECONDS", 60.0)
    async with serving(embedded, peer="127.0.0.1") as served:
        await asyncio.gather(*(served.http.get("/metrics") for _ in range(20)))
    assert gathered == 1
