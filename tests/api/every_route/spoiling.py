"""What can be wrong in a good body: each of its fields, one after another."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from gateway.rules import models_read
from tests.api.cases import ROUTES

# Rows of an import and offline sales are judged one by one: the answer is 200 and says what is
# wrong with each.
JUDGED_ALONE = ("rows[", "sales[")

# Places that may hold null: they are as good as left out.
NULLABLE = {"category", "barcode", "version", "lowStockThreshold", "reference", "businessName"}

# Amounts are decimals; every other number is whole.
DECIMALS = {
    field.alias
    for route in ROUTES.values()
    for model in models_read(route)
    for field in model.model_fields.values()
    if "Decimal" in str(field.annotation)
}

# JSON as it would be written, since some of it no serializer would write.
NO_NUMBER = ['"1"', "true", "[]", "{}", "1.5", "NaN", "Infinity", "-Infinity", "1e400", "1e-400"]

NO_TEXT = ["1", "true", "[]", "{}", '"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"']

NO_UUID = [*NO_TEXT, '""', '"x"', '"00000000-0000-0000-0000-00000000000g"', '"\\u0660"']

NO_LIST = ["{}", '"x"', "1", "true"]


class Bad(NamedTuple):
    """A spoiled body, and the field that the answer has to name; None if there is none."""

    text: bytes
    field: str | None


def leaves(value: Any, path: str = "", steps: tuple[Any, ...] = ()) -> Iterator[Any]:
    """(path, steps, value) of every place in a body, whole lists and objects too."""
    if path:
        yield path, steps, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}" if path else name, (*steps, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]", (*steps, index))


def replaced(body: Any, steps: tuple[Any, ...], text: str) -> bytes:
    """The body with other JSON at one place."""
    mark = "c0ffee-here"
    spoiled = copy.deepcopy(body)
    inner = spoiled
    for step in steps[:-1]:
        inner = inner[step]
    inner[steps[-1]] = mark
    # The text may hold what cannot be encoded in any other way than as it stands.
    return json.dumps(spoiled).replace(json.dumps(mark), text).encode()


def wrong_for(path: str, value: Any, nullable: frozenset[str]) -> Iterable[str]:
    name = path.rpartition(".")[2]
    if name not in NULLABLE | nullable:
        yield "null"
    if isinstance(value, bool):
        yield from (bad for bad in NO_NUMBER if bad != "true")
    elif isinstance(value, int | float):
        # Decimals may have a fraction; anything else is whole.
        yield from (bad for bad in NO_NUMBER if name not in DECIMALS or bad != "1.5")
    elif isinstance(value, list):
        yield from NO_LIST
    elif isinstance(value, dict):
        yield from ("[]", '"x"', "1")
    elif name.endswith("Id") and name != "externalId":
        yield from NO_UUID
    else:
        yield from NO_TEXT


def spoiled(body: dict[str, Any], nullable: frozenset[str]) -> Iterator[Bad]:
    for path, steps, value in leaves(body):
        if not path.startswith(JUDGED_ALONE):
            for text in wrong_for(path, value, nullable):
                yield Bad(replaced(body, steps, text), path)
    yield Bad(json.dumps(body | {"nonsense": 1}).encode(), "nonsense")
    for path, steps, value in leaves(body):
        if isinstance(value, dict) and not path.startswith(JUDGED_ALONE):
            inner = json.dumps(value | {"nonsense": 1})
            yield Bad(replaced(body, steps, inner), f"{path}.nonsense")
    first = json.dumps(next(iter(body)))
    text = json.dumps(body)
    yield Bad(f"{text[:-1]}, {first}: 1}}".encode(), json.loads(first))


def snaked(body: Any) -> Iterator[Bad]:
    """With a name as Python has it."""
    for path, steps, _ in leaves(body):
        name = steps[-1]
        python = re.sub("([a-z])([A-Z])", r"\1_\2", str(name)).lower()
        if isinstance(name, str) and "_" in python and not path.startswith(JUDGED_ALONE):
            spoiled = copy.deepcopy(body)
            inner = spoiled
            for step in steps[:-1]:
                inner = inner[step]
            inner[python] = inner.pop(name)
            yield Bad(json.dumps(spoiled).encode(), path[: -len(name)] + python)
