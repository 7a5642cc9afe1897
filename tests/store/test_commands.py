"""The command log of plain SQL mutations: one effect, one answer, however often it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from core.errors import Conflict, IdempotencyMismatch, Unavailable
from core.ids import uuid7
from core.request import RequestKey
from core.settings import Settings
from store.kit.commands import Recorded, once
from store.kit.engine import Database, Scope
from store.people import users

TENANT = uuid7()


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url)
    yield database
    await database.close()


def key(command_id: UUID | None = None, body: bytes = b"body", *, given: bool = True) -> RequestKey:
    return RequestKey(command_id or uuid7(), body, given, arrived_ms=0, deadline_ms=30_000)


async def sign_up(db: Database, request: RequestKey) -> Recorded:
    """Adds a user with a new address each time it really runs."""
    async with db.transaction(Scope(tenant_id=TENANT)) as tx:

        async def work() -> Recorded:
            user_id = uuid7()
            email = f"{user_id.hex}@{request.command_id.hex}.test"
            user = users.User(user_id, "Ann", email, "hash", "customer", disabled=False)
            await users.add_user(tx, user)
            return Recorded(201, user_id.bytes)

        return await once(tx, TENANT, request, work)


async def effects(db: Database, request: RequestKey) -> int:
    async with db.transaction(Scope()) as tx:
        found = await tx.execute(
            text("SELECT count(*) FROM users WHERE email LIKE :at"),
            {"at": f"%@{request.command_id.hex}.test"},
        )
        return int(found.scalar_one())


async def test_many_at_once_are_one_effect_and_one_answer(db: Database) -> None:
    request = key()
    answers = await asyncio.gather(*(sign_up(db, request) for _ in range(50)))
    assert len(set(answers)) == 1
    assert answers[0].status == 201
    assert await effects(db, request) == 1


async def test_another_body_under_the_same_key_is_refused(db: Database) -> None:
    request = key()
    await sign_up(db, request)
    with pytest.raises(IdempotencyMismatch):
        await sign_up(db, key(request.command_id, b"other"))
    assert await effects(db, request) == 1


async def test_without_a_client_s_key_each_is_its_own(db: Database) -> None:
    request = key(given=False)
    await sign_up(db, request)
    await sign_up(db, request)
    assert await effects(db, request) == 2


async def test_what_fails_leaves_nothing_and_may_be_tried_again(db: Database) -> None:
    request = key()

    async def refuse() -> Recorded:
        raise Conflict

    with pytest.raises(Conflict):
        async with db.transaction(Scope(tenant_id=TENANT)) as tx:
            await once(tx, TENANT, request, refuse)
    assert (await sign_up(db, request)).status == 201


async def test_another_tenant_never_gets_the_answer(db: Database) -> None:
    """What somebody does for themselves alone may be in the books of whichever business it is
    about; under one key it is about one of them."""
    request, other = key(), uuid7()
    await sign_up(db, request)

    async def work() -> Recorded:
        return Recorded(200, b"")

    with pytest.raises(IdempotencyMismatch):
        async with db.transaction(Scope(tenant_id=other)) as tx:
            await once(tx, other, request, work)


async def test_a_shopper_s_mutation_is_logged_under_the_user(db: Database) -> None:
    request, user_id = key(), uuid7()
    ran = 0

    async def work() -> Recorded:
        nonlocal ran
        ran += 1
        return Recorded(200, b"")

    for _ in range(2):
        async with db.transaction(Scope(user_id=user_id)) as tx:
            assert await once(tx, user_id, request, work) == Recorded(200, b"")
    assert ran == 1


async def test_who_comes_before_the_day_was_made_is_asked_to_come_again(
    db: Database, embedded: Settings
) -> None:
    """As after weeks without a keeper; he makes it as soon as he is back."""
    owner, request = await asyncpg.connect(embedded.owner_database_url), key()
    try:
        today = await owner.fetchval(
            "SELECT 'command_log_p' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')"
        )
        await owner.execute(f"ALTER TABLE command_log DETACH PARTITION {today}")
        try:
            with pytest.raises(Unavailable):
                await sign_up(db, request)
            assert await effects(db, request) == 0
        finally:
            await owner.execute(f"DROP TABLE {today}")
            await owner.execute("SELECT rotate_command_log()")
    finally:
        await owner.close()
    await sign_up(db, request)
    assert await effects(db, request) == 1
