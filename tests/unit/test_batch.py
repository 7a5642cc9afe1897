"""What a batch does with a command that asks for what nobody has loaded."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from actors.runtime.batch import Work, decide_batch
from actors.runtime.family import Context, Family, Key
from actors.runtime.memory import Memory, Working
from store.hosts.leases import Shard

TENANT = uuid4()
QUESTION = Key("question", 0, TENANT, uuid4(), None, True)
LACKING = Key("stock", 0, TENANT, uuid4())


class AsksForMore:
    """Looks at the answer to its question, and then at what it has not announced."""

    def label(self, command: Any) -> str:
        return "AsksForMore"

    def decide(self, view: Working, command: Any, context: Context) -> Any:
        assert view.get(QUESTION) == "answer"
        return view.get(LACKING)


def test_who_is_set_aside_asks_its_questions_anew() -> None:
    """Others of its tenant may be decided meanwhile: the answer that it has may be old by then."""
    rules: Any = AsksForMore()
    nothing: Any = None
    family = Family("commerce", nothing, rules)
    context = Context(0, TENANT, "anyone", uuid4(), 0, 0)
    work = Work(family, Shard("commerce", 0), nothing, context, 1, asked={QUESTION: "answer"})
    decided = decide_batch([work], Working(Memory()), {Shard("commerce", 0): 1})
    assert decided.aside == [work]
    assert not decided.verdicts
    assert work.undeclared_keys == [LACKING]
    assert work.asked == {}
