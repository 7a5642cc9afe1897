"""Signing keys: made once, whichever process starts first; rotated without a token lost."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import keys
from gateway.keys import KeyRing
from tests.conftest import fresh_settings


def test_the_first_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    settings = fresh_settings(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: KeyRing(settings), range(8)))
    assert len({ring.signing.id for ring in rings}) == 1
    (file,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_after_rotation_the_new_key_signs_and_both_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_SCAN_SECONDS", 0.0)
    monkeypatch.setattr(keys, "_UNKNOWN_SCAN_SECONDS", 0.0)
    settings = fresh_settings(tmp_path)
    ring, other = KeyRing(settings), KeyRing(settings)
    old = ring.signing.id
    new = keys.rotate(tmp_path / "keys")
    assert ring.signing.id == new != old
    assert other.public(new) is not None  # a replica that has not looked for a while
    assert other.public(old) is not None
    assert {key["kid"] for key in other.jwks()["keys"]} == {old, new}


def test_made_up_key_ids_do_not_make_it_read_the_disk(tmp_path: Path) -> None:
    ring = KeyRing(fresh_settings(tmp_path))
    keys.rotate(tmp_path / "keys")
    before = ring.jwks()
    for number in range(100):
        assert ring.public(f"made-up-{number}") is None
    assert ring.jwks() == before


def test_keys_from_the_environment(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    keys.ensure(first)
    keys.ensure(second)
    pem = "".join((folder / "00000001.pem").read_text() for folder in (first, second))
    ring = KeyRing(fresh_settings(tmp_path / "home", signing_key=pem.replace("\n", "\\n")))
    assert [key.id for key in keys.parse(pem)] == [key["kid"] for key in ring.jwks()["keys"]]
    assert ring.signing.id == keys.parse(pem)[-1].id
    assert not (tmp_path / "home" / "keys").exists()


def test_a_key_of_another_kind_is_refused() -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(ValueError, match="Ed25519"):
        keys.parse(pem.decode())
    with pytest.raises(ValueError, match="no PEM"):
        keys.parse("not a key")
