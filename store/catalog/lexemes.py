"""What products are found by: the lexemes of a product, and the question that finds them, both as
Postgres reads them (tsvector and tsquery). Pure; `core.words` says what a word is.

Every question is answered by looking lexemes up as they are, so that the index skips from match to
match. A beginning of a word is therefore a lexeme of its own: collecting all words that begin with
"s" would read a tenth of the index first. Signs that no word has tell the sorts apart:

    shirt   a word of the product, or the beginning of one of its name, codes or labels
    =shirt  a whole word of its name or codes
    ~shrt   a word of its name or labels, with a letter left out
    @...    its business
    #17     one of BUCKETS parts of all products, at random

Where a word has very many products, only those of some parts are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from core.words import (
    MAX_BEGINNING,
    Asked,
    asked_of,
    beginnings,
    shortened,
    sort_key,
    squeezed,
    words_of,
)

BUCKETS = 512
MAX_ASKED = 8
# With fewer letters, one that is wrong makes another word of it.
MIN_TYPO_LETTERS = 4
MAX_NAME_WORDS = 100
MAX_CODE_WORDS = 400
MAX_LABEL_WORDS = 200
MAX_DESCRIPTION_WORDS = 200


class Described(NamedTuple):
    """What of a product is searched. `codes` are its SKUs and barcodes and those of its variants,
    `labels` its category and the options of its variants."""

    id: UUID
    tenant_id: UUID
    name: str
    description: str
    codes: Sequence[str]
    labels: Sequence[str]


class Entry(NamedTuple):
    """What is stored of it: the words of name and codes (`head`) and of labels (`side`), each
    between blanks, a whole code behind an equals sign; and its lexemes as a tsvector's text."""

    sort_key: str
    head: str
    side: str
    lexemes: str


class Question(NamedTuple):
    """What somebody looks for, as texts of tsquery: products that have all of it as whole words
    in name or codes; that have all of it; and, if any of it may be mistyped, that have something
    like it. `asked` are the words that rank what is found, `code` is all of it as one code."""

    whole: str
    anywhere: str
    loose: str | None
    asked: list[str]
    code: str


def entry_of(product: Described) -> Entry:
    codes = list(dict.fromkeys(squeezed(code) for code in product.codes))[:MAX_CODE_WORDS]
    named = words_of(product.name, MAX_NAME_WORDS)
    coded = _all_words(product.codes, MAX_CODE_WORDS)
    head = list(dict.fromkeys([*named, *coded, *filter(None, codes)]))
    side = _all_words(product.labels, MAX_LABEL_WORDS)
    found = [f"'@{product.tenant_id}' '#{bucket_of(product.id)}'"]
    found += (f"'={word}'" for word in head)
    found += map(_findable, dict.fromkeys([*head, *side]))
    found += (f"'{word}'" for word in words_of(product.description, MAX_DESCRIPTION_WORDS))
    shown = [*(f"={code}" for code in codes if code), *head]
    return Entry(
        sort_key(product.name),
        f" {' '.join(shown)} ",
        f" {' '.join(side)} ",
        " ".join(found),
    )


@lru_cache(maxsize=20_000)
def _findable(word: str) -> str:
    """By what a word is found that is not only in a description."""
    found = {word, *beginnings(word), *(f"~{form}" for form in shortened(word))}
    return " ".join(f"'{lexeme}'" for lexeme in found)


def question_of(text: str) -> Question | None:
    """None for a text without any word."""
    asked = asked_of(text, MAX_ASKED)
    if not asked:
        return None
    words = list(dict.fromkeys(word for each in asked for word in (each.whole, *each.parts)))
    may_be_mistyped = any(_mistyped(each.whole) for each in asked)
    return Question(
        _all(_either(each, lambda word: f"'={word}'") for each in asked),
        _all(_either(each, _begun) for each in asked),
        _all(map(_similar, asked)) if may_be_mistyped else None,
        words[: 2 * MAX_ASKED],
        squeezed(text),
    )


def bucket_of(product_id: UUID) -> int:
    return crc32(product_id.bytes) % BUCKETS


def _all_words(texts: Iterable[str], most: int) -> list[str]:
    found: dict[str, None] = {}
    for text in texts:
        if len(found) >= most:
            break
        found |= dict.fromkeys(words_of(text, most))
    return list(found)[:most]


def _all(parts: Iterable[str]) -> str:
    return " & ".join(parts)


def _either(asked: Asked, form: Callable[[str], str]) -> str:
    """The whole, or all of its parts."""
    parts = _all(form(part) for part in asked.parts)
    return f"({form(asked.whole)} | ({parts}))" if len(asked.parts) > 1 else f"({parts})"


def _begun(word: str) -> str:
    """A word that begins so. Of a long one the first letters are enough, the rest only ranks."""
    if len(word) > MAX_BEGINNING and word.isalpha():
        return f"('{word}' | '{word[:MAX_BEGINNING]}')"
    return f"'{word}'"


def _mistyped(word: str) -> list[str]:
    return shortened(word) if len(word) >= MIN_TYPO_LETTERS else []


def _similar(asked: Asked) -> str:
    forms = (f"'~{form}'" for form in _mistyped(asked.whole))
    return f"({' | '.join((_either(asked, _begun), *forms))})"
