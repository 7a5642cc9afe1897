"""Which host each shard belongs to."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime.placement import (
    MAX_MOVES_AT_ONCE,
    Live,
    Move,
    assignments,
    next_move,
    takers,
    unwanted,
)
from store.hosts.leases import Incarnation, Shard
from store.hosts.wishes import Wishes

NOTHING = Wishes({}, frozenset())


def shard(number: int) -> Shard:
    return Shard("commerce", number)


def host(name: str) -> Incarnation:
    return Incarnation(UUID(int=sum(map(ord, name)) + len(name) * 1000), name, "here", 1)


def spread(**counts: int) -> dict[Incarnation, list[Shard]]:
    """Hosts by name, with so many shards each."""
    numbers = iter(range(1_000))
    return {
        host(name): [shard(next(numbers)) for _ in range(count)] for name, count in counts.items()
    }


def applied(live: Live, move: Move) -> dict[Incarnation, list[Shard]]:
    after = {owner: [s for s in shards if s not in move.shards] for owner, shards in live.items()}
    after[move.target] += move.shards
    return after


def settled(live: Live, names: list[str], wishes: Wishes) -> Live:
    """After every move that the keeper would make. There must be an end to them."""
    for _ in range(200):
        move = next_move(live, takers(live, names, wishes), wishes)
        if move is None:
            return live
        assert move.source != move.target
        assert 0 < len(move.shards) <= MAX_MOVES_AT_ONCE
        assert set(move.shards) <= set(live[move.source])
        live = applied(live, move)
    raise AssertionError("it never ends")


def counts(live: Live) -> dict[str, int]:
    return {owner.name: len(shards) for owner, shards in live.items()}


def test_hosts_share_alike() -> None:
    shares = counts(settled(spread(a=200, b=0, c=56), ["a", "b", "c"], NOTHING)).values()
    assert max(shares) - min(shares) <= 1


def test_hosts_of_another_build_give_everything_away_and_are_dismissed() -> None:
    before = spread(old0=128, old1=128, new0=0, new1=0)
    names = ["new0", "new1"]
    after = settled(before, names, NOTHING)
    assert counts(after) == {"old0": 0, "old1": 0, "new0": 128, "new1": 128}
    assert unwanted(before, takers(before, names, NOTHING), names) == []
    assert unwanted(after, takers(after, names, NOTHING), names) == ["old0", "old1"]


def test_before_hosts_of_this_build_are_there_those_of_another_go_on() -> None:
    live = spread(old0=100, old1=156)
    able = takers(live, ["new0", "new1"], NOTHING)
    assert {taker.name for taker in able} == {"old0", "old1"}
    assert unwanted(spread(old0=0, old1=10), able, ["new0"]) == []
    assert set(assignments([shard(900)], live, able, NOTHING).values()) == {host("old0").id}


def test_a_drained_host_is_emptied_stays_and_gets_nothing() -> None:
    wishes = Wishes({}, frozenset({"b"}))
    after = settled(spread(a=10, b=10), ["a", "b"], wishes)
    assert counts(after) == {"a": 20, "b": 0}
    able = takers(after, ["a", "b"], wishes)
    assert unwanted(after, able, ["a", "b"]) == []
    assert set(assignments([shard(900)], after, able, wishes).values()) == {host("a").id}


def test_when_all_are_drained_somebody_serves_all_the_same() -> None:
    wishes = Wishes({}, frozenset({"a", "b"}))
    live = spread(a=10, b=10)
    assert next_move(live, takers(live, ["a", "b"], wishes), wishes) is None


def test_a_pinned_shard_goes_there_and_stays() -> None:
    wishes = Wishes({shard(0): "b", shard(1): "b", shard(2): "gone"}, frozenset())
    after = settled(spread(a=4, b=4), ["a", "b"], wishes)
    assert {shard(0), shard(1)} <= set(after[host("b")])
    assert counts(after) == {"a": 4, "b": 4}
    assert assignments([shard(0)], after, list(after), wishes) == {shard(0): host("b").id}
    everything = Wishes({shard(n): "b" for n in range(8)}, frozenset())
    assert counts(settled(spread(a=4, b=4), ["a", "b"], everything)) == {"a": 0, "b": 8}


NAMES = st.sampled_from(["a", "b", "c", "old"])


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(NAMES, st.integers(0, 40), min_size=1),
    st.dictionaries(st.integers(0, 99).map(shard), NAMES),
    st.frozensets(NAMES),
)
def test_moves_come_to_an_end(
    start: dict[str, int], pins: dict[Shard, str], drained: frozenset[str]
) -> None:
    wishes = Wishes(pins, drained)
    live = settled(spread(**start), ["a", "b", "c"], wishes)
    able = takers(live, ["a", "b", "c"], wishes)
    assert sum(counts(live).values()) == sum(start.values())
    for owner, shards in live.items():
        assert not shards or owner in able
        for held in shards:
            assert pins.get(held, owner.name) not in {
                other.name for other in able if other != owner
            }
