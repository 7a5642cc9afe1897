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
from store.business.profile import business_currency, lock_business
from store.kit.engine import PUBLIC, Database, Scope
from store.people import access_keys, sessions, users
from tests.waiting import eventually

SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url)
    yield database
    await database.close()


def new_user(email: str = "") -> users.User:
    user_id = uuid7()
    address = email or f"{user_id.hex}@example.test"
    return users.User(user_id, "Ann", address, "hash", "vendor", disabled=False)


async def new_business(db: Database) -> tuple[users.User, UUID]:
    user, tenant_id = new_user(), uuid7()
    async with db.transaction(Scope(tenant_id=tenant_id, user_id=user.id)) as tx:
        assert await users.add_user(tx, user)
        await users.add_business(tx, tenant_id, "Ann's", "EUR", user.id)
    return user, tenant_id


async def new_session(db: Database, token: bytes) -> UUID:
    user, session_id = new_user(), uuid7()
    async with db.transaction(Scope(user_id=user.id)) as tx:
        await users.add_user(tx, user)
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
            return await users.add_user(tx, new_user(email))

    results = await asyncio.gather(*(attempt() for _ in range(8)))
    assert sorted(results) == [False] * 7 + [True]


async def test_an_address_in_capitals_is_not_stored(db: Database) -> None:
    with pytest.raises(DBAPIError, match="email_lower"):
        async with db.transaction(Scope()) as tx:
            await users.add_user(tx, new_user("Ann@example.test"))


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
        for table in ("businesses", "memberships", "access_keys"):
            count = (await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            assert count == 0, table


async def test_a_user_finds_the_own_memberships_and_cannot_change_them(db: Database) -> None:
    (user, tenant_id), _ = await new_business(db), await new_business(db)
    async with db.transaction(Scope(user_id=user.id)) as tx:
        assert await users.memberships_of(tx, user.id) == [
            users.Membership(tenant_id, "owner", "Ann's")
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

    async def attempt(successor: int) -> sessions.Used:
        async with db.transaction(Scope()) as tx:
            return await sessions.use_refresh_token(tx, token, bytes([successor]))

    used = await asyncio.gather(*map(attempt, range(8)))
    assert sum(use.successor is None for use in used) == 1
    assert len({use.successor for use in used}) == 2, "all others are told the first one's"
    assert {use.session and use.session.id for use in used} == {session_id}
    async with db.transaction(Scope()) as tx:
        past = "UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds'"
        await tx.execute(text(past))
    late = await asyncio.gather(*map(attempt, range(8)))
    assert {(use.session, use.revoked) for use in late} == {(None, session_id)}
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
        assert await sessions.use_refresh_token(tx, token, b"x") == sessions.Used()


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


async def make_key(
    db: Database, tenant_id: UUID, user: users.User, *, own: bool, expires_at: datetime = SOON
) -> access_keys.AccessKey | None:
    """A service key, or one of the user's own."""
    async with db.transaction(Scope(tenant_id=tenant_id)) as tx:
        await lock_business(tx, tenant_id)
        return await access_keys.add(
            tx,
            key_id=uuid7(),
            tenant_id=tenant_id,
            user_id=user.id if own else None,
            name="till",
            key_hash=bytes(32),
            scopes=["*"],
            created_by=user.id,
            expires_at=expires_at,
        )


@pytest.mark.parametrize("own", [False, True])
async def test_the_number_of_live_keys_is_bounded(
    db: Database, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    monkeypatch.setattr(access_keys, "MAX_SERVICE_KEYS", 2)
    monkeypatch.setattr(access_keys, "MAX_API_KEYS", 2)
    user, tenant_id = await new_business(db)
    past = SOON - timedelta(days=1)
    for _ in range(3):
        assert await make_key(db, tenant_id, user, own=own, expires_at=past) is not None
    for _ in range(2):
        assert await make_key(db, tenant_id, user, own=not own) is not None
    many = (make_key(db, tenant_id, user, own=own) for _ in range(6))
    made = [key for key in await asyncio.gather(*many) if key is not None]
    assert len(made) == 2
    async with db.transaction(Scope(tenant_id=tenant_id)) as tx:
        await access_keys.revoke(tx, made[0].id)
    assert await make_key(db, tenant_id, user, own=own) is not None
    assert await make_key(db, tenant_id, user, own=own) is None


async def test_a_person_s_scope_ends_their_keys_everywhere_and_nobody_else_s(
    db: Database,
) -> None:
    (user, mine), (other, theirs) = await new_business(db), await new_business(db)
    own = [await make_key(db, tenant, user, own=True) for tenant in (mine, theirs)]
    kept = [
        await make_key(db, mine, user, own=False),
        await make_key(db, theirs, other, own=True),
    ]
    async with db.transaction(Scope(user_id=other.id)) as tx:
        assert await access_keys.end_of(tx, user.id) == []
    async with db.transaction(Scope(user_id=user.id)) as tx:
        ended = await access_keys.end_of(tx, user.id)
    assert sorted(ended) == sorted(key.id for key in own if key)
    for tenant, key in zip((mine, theirs), kept, strict=True):
        assert key is not None
        async with db.transaction(Scope(tenant_id=tenant)) as tx:
            left = await access_keys.get(tx, key.id)
        assert left is not None
        assert left.revoked_at is None


@pytest.mark.parametrize("column", ["tenant_id", "user_id", "scopes", "hash", "created_by"])
async def test_a_key_is_never_made_another_s_or_do_more(db: Database, column: str) -> None:
    user, tenant_id = await new_business(db)
    key = await make_key(db, tenant_id, user, own=True)
    assert key is not None
    with pytest.raises(DBAPIError, match="permission denied"):
        async with db.transaction(Scope(tenant_id=tenant_id, user_id=user.id)) as tx:
            await tx.execute(text(f"UPDATE access_keys SET {column} = {column}"))


async def test_nobody_ends_a_session_while_a_key_is_made_by_it(db: Database) -> None:
    session_id = await new_session(db, uuid7().bytes * 2)
    order: list[str] = []

    async def end() -> None:
        async with db.transaction(Scope()) as tx:
            await sessions.revoke_sessions(tx, [session_id])
        order.append("ended")

    async with db.transaction(Scope()) as tx:
        assert not await sessions.has_ended(tx, session_id)
        ending = asyncio.create_task(end())
        await waits_for_a_lock(db)
        order.append("made")
    await ending
    assert order == ["made", "ended"]
    async with db.transaction(Scope()) as tx:
        assert await sessions.has_ended(tx, session_id)
        assert not await sessions.has_ended(tx, uuid7())


async def waits_for_a_lock(db: Database) -> None:
    """Returns once a transaction of ours waits for another."""
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

    async def waits() -> bool:
        async with db.transaction(Scope()) as tx:
            return bool((await tx.execute(query)).scalar_one())

    await eventually(waits)
