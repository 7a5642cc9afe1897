"""Text as people search and sort it: pure functions, the same on every server, since a database's
own idea of a letter depends on how it was made.

What is found is a *word*: letters and marks, or digits, in one form whatever case, width or accent
they were written in. Everything here takes time in proportion to the text, and text beyond
MAX_TEXT characters is not read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

MAX_TEXT = 12_000
MAX_WORD = 32
# So many letters of a word are looked up as its beginning.
MAX_BEGINNING = 12
# A shorter word has too many neighbours, a longer one is rarely typed as a whole.
TYPO_LETTERS = range(3, 17)


def _marks() -> str:
    """All that stands above and below letters, as a class of a pattern."""
    return "".join(chr(code) for code in range(0x300, 0xFFFF) if unicodedata.combining(chr(code)))


# Letters without a decomposition that people type as others.
_LETTERS = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ħ": "h",
        "\u0131": "i",
        "ŋ": "n",
        "ŧ": "t",
        "ƒ": "f",
        "ɐ": "a",
        "\u02bc": "'",
        "\u02bb": "'",
    }
)
# Marks that are left out when people type in a hurry. Those of other scripts are letters' parts.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
# Characters that nobody sees; the joiners of some scripts among them.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200c-\u200f\u2060-\u206f\ufe00-\ufe0f\ufeff]+"
)
_STACKED = re.compile(f"([{_marks()}]{{4}})[{_marks()}]+")
# Scripts that put no blanks between words: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = re.compile(
    "[\u0e00-\u0e4f\u0e80-\u0ecd\u1000-\u103f\u1780-\u17d3\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd]"
)
# What stands inside of words that are also written as one: Wi-Fi, Men's, U.S.A., R&D.
_JOINERS = frozenset("'\u2019\u2018`.\u00b7_+&")
# Control, format, private and unassigned characters, and ends of lines; letters that are blank, and
# marks that only choose how the one before them is drawn.
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
_FILLERS = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
)
_JOINING = frozenset("\u200c\u200d\ufe0e\ufe0f" + "".join(map(chr, range(0xE0020, 0xE0080))))
_LETTER, _DIGIT, _PAIRED, _JOINER, _GAP = "letter", "digit", "paired", "joiner", "gap"


class Asked(NamedTuple):
    """What was typed without a blank: the word itself, and its parts where it has several. A
    product has it by the whole, or by all of the parts."""

    whole: str
    parts: tuple[str, ...]


def folded(text: str) -> str:
    """Text without differences of case, width and accents."""
    if text.isascii():
        return text[:MAX_TEXT].lower()
    text = _compatible(text).casefold().translate(_LETTERS)
    text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", text.translate(_LETTERS))


def same_name(text: str) -> str:
    """What two names have in common that nobody should keep apart: `Toys  ` and `toys`. Accents
    tell names apart."""
    plain = " ".join(_compatible(text).casefold().split())
    return unicodedata.normalize("NFC", plain)


def _compatible(text: str) -> str:
    """Text in one form of each letter. To order the marks of one letter takes the square of their
    number, so that a letter keeps a few."""
    text = _STACKED.sub(r"\1", _UNSEEN.sub("", text[:MAX_TEXT]))
    return unicodedata.normalize("NFKC", text)[:MAX_TEXT]


def hidden_in(text: str, *, joiners: bool = False) -> str | None:
    """The first character that nobody sees, such as a control character; two texts that differ by
    it alone look the same. `joiners` are taken where a letter or picture stands before them: some
    scripts and emoji are written with them."""
    if text.isprintable() and text.isascii():
        return None
    follows = False
    for char in text:
        if unicodedata.category(char) in _HIDDEN or char in _FILLERS:
            if not (joiners and follows and char in _JOINING):
                return char
        else:
            follows = not char.isspace()
    return None


def words_of(text: str, most: int) -> list[str]:
    """The words of a text, each once, in its order: what stands between separators, letters and
    digits apart, and together what is often written together: `TEA-100` has tea, 100 and tea100.
    Where a script has no blanks, its words are pairs of characters. `most` at most."""
    found: dict[str, None] = {}
    for chunk in _chunks(folded(text)):
        if len(found) >= most:
            break
        for segment in chunk:
            found |= dict.fromkeys(part for run in segment for part in _parts(run))
            found |= dict.fromkeys(_joined([segment]))
        found |= dict.fromkeys(_joined(chunk))
    return list(found)[:most]


def squeezed(text: str) -> str:
    """A code without all that separates: `tea-100` and `TEA 100` are one."""
    return "".join(run for chunk in _chunks(folded(text)) for part in chunk for run in part)[
        :MAX_WORD
    ]


def asked_of(text: str, most: int) -> list[Asked]:
    """What somebody looks for, `most` at most."""
    found: dict[Asked, None] = {}
    for chunk in _chunks(folded(text)):
        if len(found) >= most:
            break
        parts = [part for segment in chunk for run in segment for part in _sought(run)]
        whole = next(iter(_joined(chunk)), parts[0])
        found[Asked(whole, tuple(dict.fromkeys(parts))[:most])] = None
    return list(found)


def beginnings(word: str) -> list[str]:
    """The word's beginnings, itself among them where it is short."""
    return [word[:size] for size in range(1, min(len(word), MAX_BEGINNING) + 1)]


def shortened(word: str) -> list[str]:
    """The word, and the word without each of its letters; nothing for what is too short or long.
    Two words that differ by one letter more, less or other, or by two that changed places, have
    one of these in common (symmetric deletion, as SymSpell does it)."""
    if len(word) not in TYPO_LETTERS or not word.isalpha():
        return []
    return list(dict.fromkeys([word, *(word[:at] + word[at + 1 :] for at in range(len(word)))]))


def sort_key(name: str) -> str:
    """What sorts names byte by byte as people sort them: by letters, whatever their case and
    accents, numbers by value and before letters; only then by accents and case. At most 410
    characters."""
    parts = []
    for chunk in _chunks(folded(name)):
        runs = (run for segment in chunk for run in segment)
        parts.append("".join(_by_value(run) if run.isdigit() else run for run in runs))
    tail = "".join(char for char in unicodedata.normalize("NFD", name[:100])[:100] if char >= " ")
    return f"{' '.join(parts)[:300]}\x01{tail}"


def _by_value(digits: str) -> str:
    """Digits behind a sign for how many they are, which is less than any digit."""
    digits = digits.lstrip("0") or "0"
    size = len(digits)
    return f"{chr(0x20 + size)}{digits}" if size < 15 else f"/{size:05}{digits}"


def _chunks(text: str) -> Iterator[list[list[str]]]:
    """What stands between gaps; of that what stands between joiners; of that the runs of
    characters of one kind. Nothing is empty."""
    for is_gap, chunk in groupby(_runs(text), key=lambda run: run[0] == _GAP):
        if is_gap:
            continue
        segments = [
            [run for _, run in segment]
            for is_joiner, segment in groupby(chunk, key=lambda run: run[0] == _JOINER)
            if not is_joiner
        ]
        if segments:
            yield segments


_PLAIN = re.compile(r"([a-z]+)|([0-9]+)|(['`._+&-]+)|([^a-z0-9'`._+&-]+)")
_PLAIN_KINDS = (None, _LETTER, _DIGIT, _JOINER, _GAP)


def _runs(text: str) -> Iterator[tuple[str, str]]:
    if text.isascii():
        for match in _PLAIN.finditer(text):
            yield _PLAIN_KINDS[match.lastindex or 0] or _GAP, match[0]
        return
    for kind, chars in groupby(text, key=_kind):
        run = "".join(chars)
        yield kind, run if kind != _DIGIT else "".join(map(_digit, run))


@lru_cache(maxsize=8_192)
def _kind(char: str) -> str:
    category = unicodedata.category(char)
    if category[0] in "LM":
        return _PAIRED if _UNSPACED.match(char) else _LETTER
    if category == "Nd":
        return _DIGIT
    return _JOINER if char in _JOINERS or category == "Pd" else _GAP


def _digit(char: str) -> str:
    return str(unicodedata.digit(char))


def _parts(run: str) -> Iterator[str]:
    """The words of a run, as a product has them."""
    if not _UNSPACED.match(run):
        yield run[:MAX_WORD]
        return
    yield from (run[at : at + 2] for at in range(len(run)))


def _sought(run: str) -> Iterator[str]:
    """The words of a run, as somebody looks for them."""
    if not _UNSPACED.match(run) or len(run) == 1:
        yield run[:MAX_WORD]
        return
    yield from (run[at : at + 2] for at in range(len(run) - 1))


def _joined(segments: Iterable[list[str]]) -> Iterator[str]:
    """The runs of segments as one word, where there are several and all have blanks around."""
    runs = [run for segment in segments for run in segment]
    if len(runs) > 1 and not any(_UNSPACED.match(run) for run in runs):
        yield "".join(runs)[:MAX_WORD]
