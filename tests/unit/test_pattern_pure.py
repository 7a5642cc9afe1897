"""A rule that asks for the time, for chance or for the world around is found."""

from __future__ import annotations

import pytest

from deployments.pattern.pure import impure, impurities, rule_files

PURE = """
from __future__ import annotations

import msgspec
from collections.abc import Callable
from typing import Any
from uuid import UUID

from actors.rules import At, Events, refuse
from actors.runtime.family import Change
from core.events import Event
from core.ids import text_of


def rule(state, command, at):
    return refuse("no") if at.context.now_ms > 5 else []
"""


def test_every_rule_is_pure() -> None:
    names = {path.name for path in rule_files()}
    assert {"sell.py", "reservations.py", "decide.py"} <= names
    assert not names & {"host.py", "families.py"}
    assert list(impure()) == []


def test_what_is_pure_is_not_complained_of() -> None:
    assert list(impurities(PURE)) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from uuid import uuid4", "from uuid import uuid4"),
        ("import uuid", "import uuid"),
        ("from core.ids import uuid7", "from core.ids import uuid7"),
        ("import time", "import time"),
        ("from datetime import datetime", "from datetime import datetime"),
        ("import random", "import random"),
        ("import secrets as chance", "import secrets"),
        ("from os import environ", "from os import environ"),
        ("import os.path", "import os.path"),
        ("from core.settings import get_settings", "from core.settings import get_settings"),
        ("from core.clock import Clock", "from core.clock import Clock"),
        ("from actors.runtime.host import ShardHost", "from actors.runtime.host import ShardHost"),
        ("from store.kit import outbox", "from store.kit import outbox"),
        ("import logging", "import logging"),
        ("    import random", "import random"),
        ("    return open('/etc/hosts')", "open(...)"),
        ("    print(state)", "print(...)"),
        ("    return hash('tea')", "hash(...)"),
        ("    global seen", "global seen"),
        ("async def later(): ...", "async def later():"),
    ],
)
def test_what_is_not(line: str, said: str) -> None:
    [(_, found)] = impurities(f"{PURE}{line}\n")
    assert found == said
