"""A build is the same exactly where the code is."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.build import _digest
from core.settings import Settings


def _tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / "core" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_build_is_its_code(tmp_path: Path) -> None:
    one = _tree(tmp_path / "one", a="x = 1\n", b="")
    same = _tree(tmp_path / "same", b="", a="x = 1\n")
    assert _digest(one) == _digest(same)
    (same / "core" / "notes.txt").write_text("not code")
    assert _digest(one) == _digest(same)
    assert _digest(_tree(tmp_path / "other", a="x = 2\n", b="")) != _digest(one)
    assert _digest(_tree(tmp_path / "moved", b="x = 1\n", a="")) != _digest(one)


def test_a_name_of_a_build_is_plain() -> None:
    assert Settings(build="2026.11-rc1").build == "2026.11-rc1"
    for bad in ("a b", "a/b", "x" * 41):
        with pytest.raises(ValidationError):
            Settings(build=bad)
