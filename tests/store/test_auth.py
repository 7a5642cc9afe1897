"""People, businesses and sessions in the real database, behind their walls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.ids import uuid7
from core.settings import Settings
from store import auth, service_keys, sessions
from store.business import business_currency
from store.engine import PUBLIC, Database, Scope

SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url)
    yield database
    await database.close()


def new_user(email: str = "") -> auth.User:
    user_id = uuid7()
    address = email or f"{user_id.hex}@example.test"
    return auth.User(user_id, "Ann", address, "hash", "vendor", disabled=False)


async def new_business(db: Database) -> tuple[auth.User, UUID]:
    user, tenant_id = new_user(), uuid7()
    async with db.transaction(Scope(tenant_id=tenant_id, user_id=user.id)) as tx:
        assert await auth.add_user(tx, user)
        await auth.add_business(tx, tenant_id, "Ann's", "EUR", user.id)
    return user, tenant_id


async def new_session(db: Database, token: bytes) -> UUID:
    user, session_id = new_user(), uuid7()
    async with db.transaction(Scope(user_id=user.id)) as tx:
        await auth.add_user(tx, user)
        await sessions.open_session(
            tx,
            session_id=session_id,
            user_id=user.id,
            business_id=None,
            user_agent="x" * 999,
            expires_at=SOON,
        )
        await sessions.add_refresh_token(tx, token, session_id, SOON)
    return session_id


async def test_an_address_is_one_account_even_at_the_same_moment(db: Database) -> None:
    email = f"{uuid7().hex}@example.test"

    async def attempt() -> bool:
        async with db.transaction(Scope()) as tx:
            return await auth.add_user(tx, new_user(email))

    results = await asyncio.gather(*(attempt() for _ in range(8)))
    assert sorted(results) == [False] * 7 + [True]


async def test_an_address_in_capitals_is_not_stored(db: Database) -> None:
    with pytest.raises(DBAPIError, match="email_lower"):
        async with db.transaction(Scope()) as tx:
            await auth.add_user(tx, new_user("Ann@example.test"))


async def test_a_tenant_sees_itself_alone(db: Database) -> None:
    (_, mine), (_, other) = await new_business(db), await new_business(db)
    async with db.transaction(Scope(tenant_id=mine)) as tx:
        assert await business_currency(tx, mine) == "EUR"
        assert await business_currency(tx, other) is None
        for table in ("memberships", "businesses"):
            count = (await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            assert count == 1


@pytest.mark.parametrize("scope", [Scope(), PUBLIC])
async def test_without_a_tenant_no_tenant_s_row_is_seen(db: Database, scope: Scope) -> None:
    await new_business(db)
    async with db.transaction(scope) as tx:
        for table in ("businesses", "memberships", "service_keys"):
            count = (await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            assert count == 0, table


async def test_a_user_finds_the_own_memberships_and_cannot_change_them(db: Database) -> None:
    (user, tenant_id), _ = await new_business(db), await new_business(db)
    async with db.transaction(Scope(user_id=user.id)) as tx:
        assert await auth.memberships_of(tx, user.id) == [
            auth.Membership(tenant_id, "owner", "Ann's")
        ]
        changed = await tx.execute(text("UPDATE memberships SET role = 'cashier'"))
        assert changed.rowcount == 0


async def test_nobody_joins_a_business_from_outside(db: Database) -> None:
    (_, victim), (user, mine) = await new_business(db), await new_business(db)
    with pytest.raises(DBAPIError, match="row-level security"):
        async with db.transaction(Scope(tenant_id=mine, user_id=user.id)) as tx:
            await tx.execute(
                text("INSERT INTO memberships (tenant_id, user_id, role) VALUES (:t, :u, 'owner')"),
                {"t": victim, "u": user.id},
            )


async def test_a_refresh_token_is_used_once_however_many_try(db: Database) -> None:
    token = uuid7().bytes * 2
    session_id = await new_session(db, token)

    async def attempt() -> sessions.Used:
        async with db.transaction(Scope()) as tx:
            return await sessions.use_refresh_token(tx, token)

    used = await asyncio.gather(*(attempt() for _ in range(8)))
    assert sum(one.session is not None for one in used) == 1
    assert sum(one.revoked == session_id for one in used) == 7
    async with db.transaction(Scope()) as tx:
        recent = datetime.now(UTC) - timedelta(minutes=1)
        found = await sessions.revoked_since(tx, recent, limit=10_000)
    assert [proof for proof, _ in found].count(session_id) == 1


async def test_a_revoked_session_is_not_refreshed(db: Database) -> None:
    token = uuid7().bytes * 2
    session_id = await new_session(db, token)
    async with db.transaction(Scope()) as tx:
        await sessions.revoke_sessions(tx, [session_id])
        await sessions.revoke_sessions(tx, [session_id])
    async with db.transaction(Scope()) as tx:
        assert await sessions.use_refresh_token(tx, token) == sessions.Used()


async def test_the_sweep_takes_what_is_over_and_leaves_the_rest(db: Database) -> None:
    over, on = await new_session(db, uuid7().bytes * 2), await new_session(db, uuid7().bytes * 2)
    async with db.transaction(Scope()) as tx:
        await tx.execute(
            text("UPDATE sessions SET expires_at = now() - interval '2 days' WHERE id = :id"),
            {"id": over},
        )
        await sessions.sweep(tx)
        left = await tx.execute(
            text("SELECT id FROM sessions WHERE id IN (:a, :b)"), {"a": over, "b": on}
        )
        assert [row.id for row in left] == [on]


async def test_a_business_has_a_bounded_number_of_keys(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_keys, "MOST_SERVICE_KEYS", 2)
    user, tenant_id = await new_business(db)

    async def attempt() -> bool:
        async with db.transaction(Scope(tenant_id=tenant_id)) as tx:
            key = await service_keys.add_service_key(
                tx,
                key_id=uuid7(),
                tenant_id=tenant_id,
                name="till",
                key_hash=bytes(32),
                scopes=["*"],
                created_by=user.id,
                expires_at=None,
            )
        return key is not None

    assert sorted(await asyncio.gather(*(attempt() for _ in range(6)))) == [False] * 4 + [True] * 2
