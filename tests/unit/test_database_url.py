"""What `DATABASE_URL` may say, whom it connects as, and that no secret of it is repeated."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.database_url import as_role, checked, without_secrets
from core.settings import Settings

LOCAL = "postgresql://postgres@/holdfast?host=/run/pg"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (LOCAL, LOCAL),
        ("postgres://u:p@db:6432/h", "postgresql://u:p@db:6432/h"),
        ("postgresql+asyncpg://u@db/h?sslmode=require", "postgresql://u@db/h?sslmode=require"),
        ("postgresql://u:p%40ss%2F@a:1,b:2/h", "postgresql://u:p%40ss%2F@a:1,b:2/h"),
    ],
)
def test_every_common_way_of_writing_it_is_taken(given: str, taken: str) -> None:
    assert checked(given) == taken


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://u:hunter2@db/h", "postgresql://"),
        ("db.internal", "postgresql://"),
        ("postgresql://u:hunter2@db/h?sslmode=maybe", "sslmode must be one of disable"),
        ("postgresql://u:hunter2@db/h?channel_binding=require", "channel_binding"),
        ("postgresql://u:hunter2@db/h?sslrootcert=/nowhere/ca.pem", "sslrootcert"),
        ("postgresql://u:hunter2#@db/h", "%23"),
        ("postgresql://u:hunter2/x@db/h", "%2F"),
        ("postgresql://u:hunter2?x@db/h", "%3F"),
        ("postgresql://u:hunter2@x@db/h", "%40"),
    ],
)
def test_what_is_wrong_is_told_without_the_secret(url: str, told: str) -> None:
    with pytest.raises(ValidationError) as error:
        Settings.model_validate({"database_url": url})
    assert told in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (LOCAL, "postgresql://app:s%40%2F@/holdfast?host=/run/pg"),
        (
            "postgresql://o:x@db:1/h?sslmode=require",
            "postgresql://app:s%40%2F@db:1/h?sslmode=require",
        ),
        ("postgresql://a:1,b:2/h?user=o&password=x", "postgresql://app:s%40%2F@a:1,b:2/h"),
        ("postgresql://db?sslmode=disable", "postgresql://app:s%40%2F@db?sslmode=disable"),
    ],
)
def test_another_role_inherits_nothing_of_the_first(url: str, expected: str) -> None:
    assert as_role(url, "app", "s@/") == expected
    assert as_role(url, "app", None) == expected.replace(":s%40%2F", "")


def test_it_may_be_shown() -> None:
    shown = without_secrets("postgresql://o:hunter2@db:1/h?password=hunter2&sslmode=require")
    assert shown == "postgresql://o@db:1/h?sslmode=require"
    assert without_secrets(LOCAL) == LOCAL


def test_redis_is_named_by_a_url_of_redis() -> None:
    Settings.model_validate({"redis_url": "rediss://:hunter2@cache:6380/0"})
    with pytest.raises(ValidationError, match="rediss://") as error:
        Settings.model_validate({"redis_url": "https://:hunter2@cache"})
    assert "hunter2" not in str(error.value)
