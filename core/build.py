"""Which build this process runs: hosts of one build stand beside those of the one before."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from core.settings import get_settings

# The packages that a host or its keeper may run, in a checkout as in an installed wheel.
_ROOT = Path(__file__).parent.parent
_PACKAGES = ("core", "store", "actors", "gateway", "deployments", "cli")


@lru_cache(maxsize=1)
def build_id() -> str:
    """HOLDFAST_BUILD, else the code's digest."""
    return get_settings().build or code_digest()


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Eight characters that are the same exactly where the code is, as it lay on the disk when
    this process asked first."""
    return _digest(_ROOT)


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
