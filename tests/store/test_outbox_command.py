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
