"""What a customer is found by: words of the name, the e-mail address, the digits of the phone.

All of it lies as short texts in one index. A word is found by how it begins, with accents or
without; an address likewise, whole or by a word before its `@`. A number is found by how it ends,
whatever spelling either has: +41 79 123 45 67, 0041791234567 and 079 123 45 67 are one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from core.words import asked_of, words_of

MAX_TERM = 255
_MAX_WORDS = 50
_A_NUMBER = re.compile(r"\+?[\d ()./-]*")
_MIN_DIGITS = 4
# Fewer digits than these do not name a line, even in a village.
_MIN_WHOLE_NUMBER = 6
_PHONE, _EMAIL = "#", "@"


class Term(NamedTuple):
    """What a customer must be found by: a term that begins with `beginning`, or is one of
    `whole`."""

    beginning: str
    whole: tuple[str, ...] = ()


def normalized(phone: str) -> str:
    """A number in E.164, if it was given with its country's code, or else its digits: which country
    a national number is of nobody has said. Raises ValueError for one that no country has."""
    digits = re.sub(r"\D", "", phone)
    if phone.startswith("+") or digits.startswith("00"):
        digits = digits if phone.startswith("+") else digits[2:]
        if not 7 <= len(digits) <= 15 or digits.startswith("0"):
            raise ValueError("has a country's code and between 7 and 15 digits in all")
        return f"+{digits}"
    return digits


def terms_of(name: str | None, email: str | None, phone: str | None) -> set[str]:
    found = set(words_of(name or "", _MAX_WORDS))
    if email is not None:
        found |= {_EMAIL + email[: MAX_TERM - 1], *words_of(email.partition("@")[0], _MAX_WORDS)}
    if phone is not None:
        found.add(_PHONE + _backwards(phone))
    return found


def wanted(query: str) -> list[Term]:
    """What a customer must be found by for what somebody typed; nothing where that holds no word
    and no number."""
    query = query.strip()
    if _A_NUMBER.fullmatch(query) and len(re.sub(r"\D", "", query)) >= _MIN_DIGITS:
        end = _backwards(query)
        shorter = range(_MIN_WHOLE_NUMBER, len(end))
        return [Term(_PHONE + end, tuple(_PHONE + end[:length] for length in shorter))]
    found = []
    for part in query.split():
        if "@" in part[1:]:
            found.append(Term(_EMAIL + part.lower()))
        else:
            asked = asked_of(part, _MAX_WORDS)
            found += [Term(word) for whole, parts in asked for word in parts or (whole,)]
    return found[:_MAX_WORDS]


def _backwards(phone: str) -> str:
    """The digits from the last to the first, without what dials out of a network."""
    return re.sub(r"\D", "", phone).lstrip("0")[::-1]
