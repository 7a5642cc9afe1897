"""The keys that sign access tokens: Ed25519, several at a time, so that they can be rotated.

They come from `HOLDFAST_SIGNING_KEY` (one PEM or several after each other) or from `keys/*.pem`
in the home folder, in the order of their names. The last one signs, all of them verify. To rotate,
add one; remove the old one when the last token that it signed has expired.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.settings import Settings

_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)
_SCAN_SECONDS = 10.0
_UNKNOWN_SCAN_SECONDS = 1.0


class SigningKey(NamedTuple):
    """`id` is the key's `kid`: a digest of its public half, the same wherever it is loaded."""

    id: str
    private: Ed25519PrivateKey
    public: Ed25519PublicKey


class KeyRing:
    """The keys of one process. Those in the home folder are read again from time to time."""

    def __init__(self, settings: Settings) -> None:
        self._folder = None if settings.signing_key else settings.home_path / "keys"
        self._scanned_at = time.monotonic()
        self._keys: dict[str, SigningKey]
        if self._folder is None:
            self._keys = _by_id(parse(settings.signing_key or ""))
        else:
            ensure(self._folder)
            self._keys = _by_id(_read(self._folder))

    @property
    def signing(self) -> SigningKey:
        self._scan(_SCAN_SECONDS)
        return next(reversed(self._keys.values()))

    @property
    def all(self) -> list[SigningKey]:
        """Every key that is still trusted, the one that signs first."""
        self._scan(_SCAN_SECONDS)
        return list(reversed(self._keys.values()))

    def public(self, key_id: str) -> Ed25519PublicKey | None:
        """The public half of a known key. An unknown one may have been added since: looks again,
        but not each time that a caller makes one up."""
        if key_id not in self._keys:
            self._scan(_UNKNOWN_SCAN_SECONDS)
        found = self._keys.get(key_id)
        return found.public if found else None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JSON Web Key Set (RFC 7517, RFC 8037)."""
        self._scan(_SCAN_SECONDS)
        return {"keys": [_jwk(key) for key in self._keys.values()]}

    def _scan(self, at_most_every_seconds: float) -> None:
        now = time.monotonic()
        if self._folder is None or now - self._scanned_at < at_most_every_seconds:
            return
        self._scanned_at = now
        found = _by_id(_read(self._folder))
        if found:
            self._keys = found


def parse(pem: str) -> list[SigningKey]:
    """Every key in `pem`, in order; a literal `\\n` stands for a line's end, as environments have
    it. Raises ValueError if there is none, or one that is not Ed25519."""
    found = [_load(block.encode()) for block in _PEM.findall(pem.replace("\\n", "\n"))]
    if not found:
        raise ValueError("HOLDFAST_SIGNING_KEY holds no PEM private key")
    return found


def ensure(folder: Path) -> None:
    """Makes the first key if there is none. If several processes try at once, one of them does."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(folder.glob("*.pem")):
        _add(folder, 1)


def rotate(folder: Path) -> str:
    """Adds a key that signs from now on; returns its id. Running processes take it up within
    seconds."""
    ensure(folder)
    numbers = [int(path.stem) for path in folder.glob("*.pem") if path.stem.isdigit()]
    number = max(numbers, default=0) + 1
    while not _add(folder, number):
        number += 1
    return _load((folder / _name(number)).read_bytes()).id


def _add(folder: Path, number: int) -> bool:
    """False if another process has just added that number. The file appears whole or not at all,
    and only its owner can read it from the start."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    draft = folder / f".{os.getpid()}-{time.monotonic_ns()}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, folder / _name(number))
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _name(number: int) -> str:
    return f"{number:08}.pem"


def _read(folder: Path) -> list[SigningKey]:
    return [_load(path.read_bytes()) for path in sorted(folder.glob("*.pem"))]


def _load(pem: bytes) -> SigningKey:
    private = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError("a signing key must be Ed25519")
    public = private.public_key()
    digest = hashlib.sha256(public.public_bytes_raw()).digest()
    return SigningKey(_base64(digest[:12]), private, public)


def _by_id(keys: list[SigningKey]) -> dict[str, SigningKey]:
    return {key.id: key for key in keys}


def _jwk(key: SigningKey) -> dict[str, str]:
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": _base64(key.public.public_bytes_raw()),
        "kid": key.id,
        "alg": "EdDSA",
        "use": "sig",
    }


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
