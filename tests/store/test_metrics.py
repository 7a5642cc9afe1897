"""Metrics of many processes in one text, over a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from core.settings import Settings
from store.kit import metrics
from store.kit.metrics import MetricsPublisher, exposition
from store.kit.redis import Redis, RedisUnavailable
from tests.waiting import eventually


@pytest.fixture
async def redis(embedded: Settings) -> AsyncIterator[Redis]:
    client = Redis(embedded.effective_redis_url)
    await client._client.flushall()
    yield client
    await client.close()


def registry(sold: int) -> CollectorRegistry:
    found = CollectorRegistry()
    Counter("shop_sold_total", "Units sold", ["shop"], registry=found).labels('a"b\n').inc(sold)
    Gauge("shop_open", "Whether open", registry=found).set(1)
    Histogram("shop_seconds", "Time taken", buckets=(1, 2), registry=found).observe(1.5)
    return found


def samples(text: bytes, name: str) -> dict[str, float]:
    return {
        sample.labels["process"]: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == name
    }


async def test_every_process_is_in_one_text(redis: Redis) -> None:
    await MetricsPublisher(redis, "host-1", registry=registry(3)).publish()
    await MetricsPublisher(redis, "keeper", registry=registry(4)).publish()
    text = await exposition(redis, "replica-1", registry=registry(5))
    assert samples(text, "shop_sold_total") == {"host-1": 3, "keeper": 4, "replica-1": 5}
    assert samples(text, "shop_seconds_count") == {"host-1": 1, "keeper": 1, "replica-1": 1}
    for family in ("shop_sold_total", "shop_open", "shop_seconds"):
        assert text.count(f"# TYPE {family} ".encode()) == 1
        assert text.count(f"# HELP {family} ".encode()) == 1


async def test_a_label_s_value_stays_what_it_is() -> None:
    texts = {"one": generate_latest(registry(3)), "two": generate_latest(registry(4))}
    merged = text_string_to_metric_families(metrics.merge(texts).decode())
    sold = next(family for family in merged if family.name == "shop_sold")
    assert [sample.labels for sample in sold.samples if sample.name == "shop_sold_total"] == [
        {"process": "one", "shop": 'a"b\n'},
        {"process": "two", "shop": 'a"b\n'},
    ]


async def test_the_own_process_is_live_and_others_vanish_with_time(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await MetricsPublisher(redis, "replica-1", registry=registry(1)).publish()
    await MetricsPublisher(redis, "host-1", registry=registry(1)).publish()
    text = await exposition(redis, "replica-1", registry=registry(2))
    assert samples(text, "shop_sold_total") == {"host-1": 1, "replica-1": 2}
    monkeypatch.setattr(metrics, "TTL_SECONDS", 0)
    text = await exposition(redis, "replica-1", registry=registry(2))
    assert samples(text, "shop_sold_total") == {"replica-1": 2}


async def test_without_redis_the_own_process_is_shown() -> None:
    redis = Redis("unix:///nowhere/redis.sock")
    text = await exposition(redis, "replica-1", registry=registry(2))
    assert samples(text, "shop_sold_total") == {"replica-1": 2}
    with pytest.raises(RedisUnavailable):
        await MetricsPublisher(redis, "replica-1", registry=registry(2)).publish()
    await redis.close()


async def test_the_publisher_survives_redis_and_comes_back(redis: Redis) -> None:
    lost = Redis("unix:///nowhere/redis.sock")
    publisher = MetricsPublisher(lost, "host-1", registry=registry(1), interval_seconds=0.05)
    task = asyncio.create_task(publisher.run())
    await asyncio.sleep(0.2)
    assert not task.done()
    publisher._redis = redis

    async def told() -> bool:
        text = await exposition(redis, "replica-1", registry=registry(2))
        return samples(text, "shop_sold_total") == {"host-1": 1, "replica-1": 2}

    await eventually(told)
    task.cancel()


async def test_a_cancellation_that_gets_lost_on_the_way_ends_the_publisher(redis: Redis) -> None:
    """The client of Redis may swallow one."""
    publishing = asyncio.Event()

    class Swallowing(MetricsPublisher):
        async def publish(self) -> None:
            if publishing.is_set():
                return
            publishing.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    task = asyncio.create_task(Swallowing(redis, "host-1", interval_seconds=0.01).run())
    await publishing.wait()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    task.cancel()
    assert done == {task}
    assert task.cancelled()
