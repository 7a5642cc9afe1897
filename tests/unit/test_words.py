"""Words, as they are found and sorted."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.words import (
    MAX_WORD,
    asked_of,
    beginnings,
    folded,
    same_name,
    shortened,
    sort_key,
    squeezed,
    words_of,
)

TEXTS = st.text(max_size=60)
LETTERS = st.text("abcdefgh", min_size=4, max_size=12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("“Assam” Tea", "assam tea"),
        ("¡Hola! Taza", "hola taza"),
        ("Ice\u00a0Cream", "ice cream"),
        ("2024\u20132025 Planner", "2024 2025 20242025 planner"),
        ("TEA-100", "tea 100 tea100"),
        ("USB-C/HDMI adapter", "usb c usbc hdmi adapter"),
        ("Café", "cafe"),
        ("Cafe\u0301", "cafe"),
        ("Wi-Fi", "wi fi wifi"),
        ("iPhone15-Pro", "iphone 15 iphone15 pro iphone15pro"),
        ("Men\u2019s R&D", "men s mens r d rd"),
        ("Straße Ærø Łódź İZMİR", "strasse aero lodz izmir"),
        ("\uff34\uff25\uff21\uff11", "tea 1 tea1"),
        ("٣٤ كِتَاب", "34 كتاب"),
        ("Ёлка Τηλέφωνος", "елка τηλεφωνοσ"),
        ("豚肉・木耳", "豚肉 肉 木耳 耳"),
        ("한국어 책", "한국어 책"),
        ("हिंदी", "हिंदी"),
        ("soft\u00adware zero\u200bwidth", "software zero width"),
        ("½ kg, 100% · #7", "1 2 kg 100 7"),
        ("!!! -- ''", ""),
    ],
)
def test_words_stand_between_all_that_separates(text: str, words: str) -> None:
    assert words_of(text, 50) == words.split()


@given(TEXTS)
def test_words_are_found_by_what_people_see(text: str) -> None:
    """Form, case and width of the letters make no difference, nor does reading a word again."""
    words = words_of(text, 100)
    assert words_of(unicodedata.normalize("NFD", text), 100) == words
    assert words_of(unicodedata.normalize("NFC", text), 100) == words
    assert folded(folded(text)) == folded(text)
    for word in words:
        assert len(word) <= MAX_WORD
        assert all(unicodedata.category(char)[0] in "LMN" for char in word)


@given(TEXTS)
def test_what_was_typed_as_it_is_written_is_found(text: str) -> None:
    there = set(words_of(text, 500))
    for asked in asked_of(text, 100):
        assert asked.whole in there or there.issuperset(asked.parts)


@given(TEXTS, TEXTS)
def test_names_sort_by_what_people_read_first(one: str, other: str) -> None:
    assert "\x00" not in sort_key(one)
    assert len(sort_key(one)) <= 410
    if words_of(one, 100) and folded(one) == folded(other):
        assert sort_key(one).partition("\x01")[0] == sort_key(other).partition("\x01")[0]


@given(st.integers(0, 10**20), st.integers(0, 10**20))
def test_numbers_sort_by_value(one: int, other: int) -> None:
    first, second = sort_key(f"{one} Nails").encode(), sort_key(f"{other} Nails").encode()
    assert (first < second) == (one < other)


def test_names_sort_as_people_sort() -> None:
    names = "9 Nails,10 Nails,Apfel,Äpfel,apple,Apple 2,Apple 10,B-52,b 53,Ölkanne,Zebra,Ärmel"
    ordered = "9 Nails,10 Nails,Apfel,Äpfel,apple,Apple 2,Apple 10,Ärmel,b 53,B-52,Ölkanne,Zebra"
    assert sorted(names.split(","), key=lambda name: sort_key(name).encode()) == ordered.split(",")


@given(LETTERS, st.data())
def test_one_wrong_letter_is_bridged(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 2))
    letter = data.draw(st.sampled_from("xyz"))
    for typed in (
        word[:at] + word[at + 1 :],
        word[:at] + letter + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    ):
        assert set(shortened(word)) & set(shortened(typed))


def test_names_that_are_one() -> None:
    assert same_name(" Toys  and\u00a0GAMES") == same_name("toys and games")
    assert same_name("Cafe\u0301") == same_name("CAFÉ") != same_name("cafe")
    assert same_name("Straße") == same_name("STRASSE")
    assert squeezed("tea-100") == squeezed("TEA 100") == "tea100"
    assert beginnings("tea") == ["t", "te", "tea"]


@pytest.mark.parametrize("piece", ["a1", "é-", "ﷺ", "a\u0315\u0316", "\u0301", "\u200b"])
def test_hostile_text_costs_no_more_than_its_length(piece: str) -> None:
    """What is ten times as long takes some ten times as long; beyond a bound nothing is read."""

    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        taken = []
        for _ in range(3):
            begun = time.process_time()
            words_of(text, 200), asked_of(text, 8), sort_key(text), squeezed(text), same_name(text)
            taken.append(time.process_time() - begun)
        return min(taken)

    assert seconds(10_000) < 40 * max(seconds(1_000), 0.0005)
    assert seconds(200_000) < 5 * max(seconds(12_000), 0.002)
