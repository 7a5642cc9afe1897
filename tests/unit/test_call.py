"""Calls whose answers are fetched in parts."""

from __future__ import annotations

import asyncio

import pytest

from actors.runtime import call as call_module
from actors.runtime.call import Call, Calls
from actors.runtime.wire import ASK_AGAIN, decode_partial_answers


async def _half_answered(calls: Calls) -> tuple[Call, int]:
    """A call of two, of which one is answered; and where the other can be asked for."""
    call = Call(2)
    call.deliver(0, ASK_AGAIN)
    part = decode_partial_answers(await calls.first(call))
    assert [place for place, _ in part.answers] == [0]
    return call, part.more


async def test_answers_come_as_they_are_decided() -> None:
    calls = Calls()
    call, number = await _half_answered(calls)
    call.deliver(1, ASK_AGAIN)
    part = decode_partial_answers(await calls.more(number))
    assert ([place for place, _ in part.answers], part.more) == ([1], 0)
    assert not len(calls)


async def test_what_nobody_asks_for_any_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a replica has died: it leaves nothing behind, however many of its like do."""
    monkeypatch.setattr(call_module, "MAX_UNASKED_SECONDS", 0.02)
    calls = Calls()
    _, number = await _half_answered(calls)
    async with asyncio.timeout(5):
        while len(calls):
            await asyncio.sleep(0.01)
    with pytest.raises(KeyError):
        await calls.more(number)
