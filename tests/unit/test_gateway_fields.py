"""Names and codes have one form, and nothing in them that nobody sees."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from deployments.catalog.categories.schemas import CategoryName
from deployments.catalog.products.fields import Category, Code, OptionText, OptionValue
from gateway.fields import Name, ShortName

NAMES = (Name, ShortName, CategoryName, OptionText, OptionValue, Category)
# What nobody sees: zero width, a mark of direction, a soft hyphen, a control character, an end of
# a line, a filler, a joiner with nothing before it.
HIDDEN = ["a\u200bb", "a\u202eb", "so\u00adft", "a\x07b", "a\u2028b", "a\u3164b", "\u200dab"]


def taken(kind: Any, text: str) -> str:
    return str(TypeAdapter(kind).validate_python(text))


@pytest.mark.parametrize("kind", [*NAMES, Code])
@pytest.mark.parametrize("text", HIDDEN)
def test_what_nobody_sees_is_refused_by_its_name(kind: Any, text: str) -> None:
    with pytest.raises(ValidationError, match=r"U\+[0-9A-F]{4} .*nobody sees|pattern"):
        taken(kind, text)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize(
    "text",
    ["\u0645\u06cc\u200c\u062e\u0648\u0645", "क्\u200dष", "\U0001f468\u200d\U0001f373", "❤\ufe0f"],
)
def test_names_have_the_joiners_of_their_script(kind: Any, text: str) -> None:
    assert taken(kind, text) == text


def test_codes_have_none() -> None:
    for text in ("SKU-123\u200b", "SKU\u200d1", "SKU\ufe0f"):
        with pytest.raises(ValidationError, match="nobody sees"):
            taken(Code, text)


@pytest.mark.parametrize("kind", [*NAMES, Code])
def test_one_form_is_stored(kind: Any) -> None:
    assert taken(kind, "CAFE\u0301 1") == "CAFÉ 1"


def test_a_blank_at_an_end_is_said_to_be_that() -> None:
    for kind in (Code, OptionText, OptionValue):
        for text in ("A-1 ", " A-1", "A-1\u00a0"):
            with pytest.raises(ValidationError, match="must not begin or end with a blank"):
                taken(kind, text)
    for kind in (Name, ShortName, CategoryName):
        assert taken(kind, " Tea  ") == "Tea"
    for kind in (Name, ShortName):
        with pytest.raises(ValidationError, match="must not be blank"):
            taken(kind, "  ")


def test_a_name_that_grows_in_its_one_form_is_bounded() -> None:
    # U+0958 is two code points in NFC.
    assert len(taken(ShortName, "\u0958" * 50)) == 100
    with pytest.raises(ValidationError, match=re.escape("at most 100 characters")):
        taken(ShortName, "\u0958" * 51)
