"""`holdfast outbox`: what consumers gave up."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

from cli.main import app
from core.ids import uuid7
from core.settings import Settings
from tests.store.consumer_kit import Ground


async def test_what_consumers_gave_up_is_listed_and_tried_again(
    at: Ground, embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await at.owner.execute(
        "INSERT INTO consumer_backlog (consumer, id, tenant_id, event_id, type, subject, time,"
        " data, attempts, problem, set_aside_at)"
        " VALUES ('mails', 1, $1, $1, 't', 's', now(), '{}', 8, 'no such host', now())",
        uuid7(),
    )
    settings = Settings.model_validate(
        {"home": embedded.home, "database_url": at.urls.owner, "redis_url": None}
    )
    monkeypatch.setattr("cli.main.get_settings", lambda: settings)

    listed = await asyncio.to_thread(CliRunner().invoke, app, ["outbox"])
    assert "given up by mails: t  s" in listed.stdout
    assert "after 8 attempts: no such host" in listed.stdout
    again = await asyncio.to_thread(CliRunner().invoke, app, ["outbox", "--retry", "mails"])
    assert "1 events are tried again" in again.stdout
    row = await at.owner.fetchrow("SELECT attempts, set_aside_at FROM consumer_backlog")
    assert tuple(row) == (0, None)


async def test_what_waits_is_listed_newest_first_and_by_type_and_subject(
    at: Ground, embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = uuid7(), uuid7()
    for number, (kind, subject) in enumerate(
        [("a.made.v1", one), ("a.made.v1", other), ("b_c.made.v1", one), ("bxc.made.v1", one)]
    ):
        await at.owner.execute(
            "INSERT INTO outbox (event_id, tenant_id, type, subject, data, time)"
            " VALUES ($1, $1, $2, $3, '{}', '2026-01-01Z'::timestamptz + $4 * interval '1 day')",
            uuid7(),
            kind,
            str(subject),
            number,
        )
    settings = Settings.model_validate(
        {"home": embedded.home, "database_url": at.urls.owner, "redis_url": None}
    )
    monkeypatch.setattr("cli.main.get_settings", lambda: settings)

    async def listed(*options: str) -> list[str]:
        said = await asyncio.to_thread(CliRunner().invoke, app, ["outbox", *options])
        return [line[:10] for line in said.stdout.splitlines() if "given up" not in line]

    newest = [f"2026-01-0{day}" for day in (4, 3, 2, 1)]
    assert (await listed())[:4] == newest
    assert await listed("--limit", "1") == newest[:1]
    assert await listed("--type", "a.") == newest[2:]
    assert await listed("--type", "b_c.made.v1") == newest[1:2]
    assert await listed("--type", "a.", "--subject", str(one)) == newest[3:]
