"""While a build takes the place of another one, replicas of each speak with hosts of both, and
replies of the build before are in the command log for a week: a message means the same in either.

`golden_messages.json` has the form of each message as an earlier build sent it. A message may gain
fields that have a default, and at the end of an array; a new message is added with its form:
`python -m tests.unit.test_messages_between_builds`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.families import commerce
from actors.runtime.wire import Answer, Envelope, LoggedReply, PartialAnswers

Form = Any

_FILE = Path(__file__).with_name("golden_messages.json")
GOLDEN: dict[str, Form] = json.loads(_FILE.read_text())
_WORDS = ("title", "description", "default")


def _forms() -> dict[str, Form]:
    """By name the form of everything that goes between replicas and hosts; what envelopes and
    their answers are called is not sent."""
    found = {}
    sent = (*commerce._commands.type.__args__, *commerce._replies.type.__args__)
    for message in (*sent, Envelope, Answer, LoggedReply, PartialAnswers):
        (schema,), parts = msgspec.json.schema_components([message], ref_template="{name}")
        found[message.__name__] = _inlined(schema, parts)
    return found


def _inlined(schema: Form, parts: dict[str, Form]) -> Form:
    """Without the names of parts, which are not sent either."""
    if isinstance(schema, list):
        return [_inlined(part, parts) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"]], parts)
    return {name: _inlined(part, parts) for name, part in schema.items() if name not in _WORDS}


def _broken(name: str, was: Form, now: Form) -> Iterator[str]:
    """What a reader of one build would misunderstand of the other."""
    if not (isinstance(was, dict) and isinstance(now, dict)):
        if was != now:
            yield f"{name} is something else"
        return
    for word in was.keys() | now.keys():
        before, after = was.get(word), now.get(word)
        if word == "properties":
            for field in before:
                if field not in after:
                    yield f"{name}.{field} is gone"
                else:
                    yield from _broken(f"{name}.{field}", before[field], after[field])
        elif word == "prefixItems":
            if len(after or ()) < len(before or ()):
                yield f"{name} is shorter"
            for place, part in enumerate((before or ())[: len(after or ())]):
                yield from _broken(f"{name}[{place}]", part, after[place])
        elif word == "anyOf" and len(before or ()) == len(after or ()):
            for part, now_part in zip(before, after, strict=True):
                yield from _broken(name, part, now_part)
        elif word == "items":
            yield from _broken(f"{name}[]", before, after)
        elif word == "required":
            for field in sorted(set(after or ()) ^ set(before or ())):
                yield f"{name}.{field} is required in one of both"
        elif before != after:
            yield f"{name} has another {word}"


def test_a_message_means_what_it_meant_in_the_build_before() -> None:
    ours = _forms()
    gone = [f"{name} is gone" for name in GOLDEN if name not in ours]
    assert not gone
    assert not [why for name, was in GOLDEN.items() for why in _broken(name, was, ours[name])]
    assert ours.keys() == GOLDEN.keys(), "add the form of what is new"


def _renamed(form: Form) -> None:
    form["properties"]["quantities"] = form["properties"].pop("lines")


def _needed(form: Form) -> None:
    form["properties"]["channel"] = {"type": "string"}
    form["required"].append("channel")


def _reordered(form: Form) -> None:
    form["properties"]["lines"]["items"]["prefixItems"].reverse()


def _other_choice(form: Form) -> None:
    form["properties"]["reason"]["anyOf"][0] = {"type": "integer"}


def _retyped(form: Form) -> None:
    form["properties"]["void"] = {"type": "string"}


def _optional(form: Form) -> None:
    form["properties"]["channel"] = {"type": "string"}


def _longer(form: Form) -> None:
    form["properties"]["lines"]["items"]["prefixItems"].append({"type": "string"})


@pytest.mark.parametrize("change", [_renamed, _needed, _reordered, _retyped, _other_choice])
def test_what_the_build_before_would_misunderstand_is_found(
    change: Callable[[Form], None],
) -> None:
    changed = copy.deepcopy(GOLDEN["Return"])
    change(changed)
    assert list(_broken("Return", GOLDEN["Return"], changed))


@pytest.mark.parametrize("change", [_optional, _longer])
def test_what_it_would_pass_over_is_not(change: Callable[[Form], None]) -> None:
    changed = copy.deepcopy(GOLDEN["Return"])
    change(changed)
    assert not list(_broken("Return", GOLDEN["Return"], changed))


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(form)}" for name, form in sorted(_forms().items()))
    _FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
