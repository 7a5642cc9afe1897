"""Tokens: who they prove, until when, and what ends them early."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest

from core.errors import Unauthenticated
from core.ids import uuid7
from core.principal import Role
from gateway import tokens as module
from gateway.keys import KeyRing
from gateway.tokens import Tokens
from tests.clock import StandingClock
from tests.conftest import fresh_settings


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def tokens(tmp_path: Path, clock: StandingClock) -> Tokens:
    settings = fresh_settings(tmp_path, access_token_ttl_seconds=900)
    return Tokens(settings, KeyRing(settings), clock)


USER, TENANT, SESSION = uuid7(), uuid7(), uuid7()


def issue(tokens: Tokens, session: UUID = SESSION) -> str:
    return tokens.issue(USER, Role.VENDOR, TENANT, session)


def test_a_token_proves_what_it_was_issued_for(tokens: Tokens) -> None:
    principal = tokens.verify(issue(tokens))
    assert (principal.id, principal.role) == (str(USER), Role.VENDOR)
    assert (principal.tenant_id, principal.session_id) == (TENANT, str(SESSION))
    claims = jwt.decode(issue(tokens), options={"verify_signature": False})
    assert claims["business_id"] == claims["tenant_id"] == str(TENANT)
    assert jwt.get_unverified_header(issue(tokens))["alg"] == "EdDSA"


def test_it_is_remembered_until_it_expires_and_no_longer(
    tokens: Tokens, clock: StandingClock
) -> None:
    token = issue(tokens)
    assert tokens.recall(token) is None
    tokens.verify(token)
    clock.ms += 898_000
    assert tokens.recall(token) is not None
    clock.ms += 2_000
    assert tokens.recall(token) is None
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.verify(token)


def test_a_revoked_session_ends_every_token_of_it_at_once(tokens: Tokens) -> None:
    token, other = issue(tokens), issue(tokens, uuid7())
    tokens.verify(token)
    tokens.verify(other)
    tokens.revoke(SESSION)
    assert tokens.recall(token) is None
    with pytest.raises(Unauthenticated, match="ended"):
        tokens.verify(token)
    assert tokens.recall(other) is not None


def test_what_is_remembered_is_bounded(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    monkeypatch.setattr(module, "MAX_REVOKED", 2)
    many = [issue(tokens, uuid7()) for _ in range(5)]
    for token in many:
        tokens.verify(token)
    assert [tokens.recall(token) is not None for token in many] == [False, False, True, True, True]
    for session in (uuid7(), uuid7(), SESSION):
        tokens.revoke(session)
    assert tokens.is_revoked(SESSION)


def test_a_shorter_lifetime_holds_for_older_tokens_too(
    tmp_path: Path, clock: StandingClock
) -> None:
    long = fresh_settings(tmp_path, access_token_ttl_seconds=86_400)
    short = fresh_settings(tmp_path, access_token_ttl_seconds=60)
    token = issue(Tokens(long, KeyRing(long), clock))
    clock.ms += 61_000
    with pytest.raises(Unauthenticated, match="expired"):
        Tokens(short, KeyRing(short), clock).verify(token)


def forged(tokens: Tokens, **changes: Any) -> str:
    claims = jwt.decode(issue(tokens), options={"verify_signature": False})
    key = tokens._keys.signing
    kept = {name: value for name, value in (claims | changes).items() if value is not ...}
    return jwt.encode(kept, key.private, "EdDSA", headers={"kid": key.id})


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"aud": "other"},
        {"role": "emperor"},
        {"sub": "nobody"},
        {"sid": ...},
        {"exp": ...},
        {"sid": 5},
    ],
)
def test_a_token_that_says_the_wrong_things_is_refused(
    tokens: Tokens, changes: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        tokens.verify(forged(tokens, **changes))


def test_no_other_signature_is_taken(tokens: Tokens, tmp_path: Path, clock: StandingClock) -> None:
    token = issue(tokens)
    claims = jwt.decode(token, options={"verify_signature": False})
    key_id = jwt.get_unverified_header(token)["kid"]
    elsewhere = fresh_settings(tmp_path / "elsewhere")
    stranger = Tokens(elsewhere, KeyRing(elsewhere), clock)
    symmetric = jwt.encode(claims, "s" * 32, "HS256", headers={"kid": key_id})
    unsigned = jwt.encode(claims, None, "none", headers={"kid": key_id})
    head, body, signature = token.split(".")
    swapped = f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    for bad in (issue(stranger), symmetric, unsigned, swapped, "a.b.c", "", "x" * 5000):
        with pytest.raises(Unauthenticated):
            tokens.verify(bad)
