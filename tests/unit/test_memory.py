"""What is not known is not absent, what was read before a commit is old, and bytes are bounded."""

from __future__ import annotations

from uuid import uuid4

import pytest

from actors.runtime.family import Key, Unloaded
from actors.runtime.memory import Memory, Working

TENANT = uuid4()


def _key(shard: int = 0, *, ephemeral: bool = False) -> Key:
    return Key("stock", shard, TENANT, uuid4(), None, ephemeral)


def test_not_to_know_and_to_know_of_none_are_different_things() -> None:
    memory, known, unknown, question = Memory(), _key(), _key(), _key(ephemeral=True)
    memory.put(known, None)
    view = Working(memory)
    assert view.get(known) is None
    for key in (unknown, question):
        with pytest.raises(Unloaded) as caught:
            view.get(key)
        assert caught.value.key == key
    view.ask({question: ["answer"]})
    assert view.get(question) == ["answer"]
    with pytest.raises(Unloaded):
        Working(memory).get(question)


def test_what_was_read_before_a_commit_does_not_replace_it() -> None:
    memory, key = Memory(), _key()
    reading = memory.expect([key])
    memory.put(key, "committed since")
    memory.arrive(key, "read before", reading)
    assert memory.get(key) == "committed since"


def test_it_is_not_taken_in_for_what_another_asks_for_since() -> None:
    """The state was forgotten meanwhile, so that it is read again."""
    memory, key = Memory(), _key()
    slow = memory.expect([key])
    memory.put(key, "committed since")
    memory.drop([key.shard])
    fast = memory.expect([key])
    memory.arrive(key, "read before", slow)
    assert key not in memory
    memory.arrive(key, "read after", fast)
    assert memory.get(key) == "read after"


def test_two_who_ask_while_nothing_changes_may_both_be_answered() -> None:
    for late in (False, True):
        memory, key = Memory(), _key()
        readings = [memory.expect([key]), memory.expect([key])]
        memory.arrive(key, "as it is", readings[late])
        assert memory.get(key) == "as it is"


@pytest.mark.parametrize("shards", [None, [0]])
def test_what_was_asked_for_before_all_was_forgotten_is_not_taken_in(
    shards: list[int] | None,
) -> None:
    memory, key = Memory(), _key()
    reading = memory.expect([key])
    memory.drop(shards)
    memory.arrive(key, "of an earlier tenure", reading)
    assert key not in memory


def test_bytes_are_bounded_by_what_was_used_longest_ago() -> None:
    memory = Memory(100, lambda key, state: len(state))
    keys = [_key() for _ in range(10)]
    for key in keys:
        memory.put(key, "x" * 10)
    memory.put(keys[9], "x" * 30)
    memory.touch(keys[0])
    assert memory.bytes == 120
    memory.evict(lambda: frozenset([keys[1]]))
    assert memory.bytes <= 100
    assert keys[0] in memory
    assert keys[1] in memory, "it is needed"
    assert keys[2] not in memory
    memory.drop()
    assert (memory.bytes, len(memory)) == (0, 0)
