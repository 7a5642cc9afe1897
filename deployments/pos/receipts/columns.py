"""Text in columns, as a till's printer has them: a Chinese or Japanese letter is two wide, and an
accent that joins the letter before it has no width."""

from __future__ import annotations

import unicodedata

COLUMNS = 42


def columns(text: str) -> int:
    """How many columns a text takes."""
    if text.isascii():
        return len(text)
    return sum(_width(letter) for letter in text)


def wrapped(text: str, room: int) -> list[str]:
    """Lines of at most `room` columns; what has no blank in time is broken where it must be."""
    lines, line = [], ""
    for word in text.split():
        tried = f"{line} {word}" if line else word
        if columns(tried) <= room:
            line = tried
            continue
        if line:
            lines.append(line)
        *full, line = _pieces(word, room)
        lines += full
    return [*lines, line]


def row(left: str, right: str) -> list[str]:
    """What stands on the left, over as many lines as it takes, with what stands on the right at the
    end of the last."""
    room = max(COLUMNS - columns(right) - 1, 1)
    indent = " " * (len(left) - len(left.lstrip()))
    parts = [indent + part for part in wrapped(left, max(room - len(indent), 2))]
    gap = " " * (room - columns(parts[-1]))
    return [*parts[:-1], f"{parts[-1]}{gap} {right}"]


def centred(text: str) -> str:
    return " " * ((COLUMNS - columns(text)) // 2) + text


def _pieces(word: str, room: int) -> list[str]:
    pieces = [""]
    for letter in word:
        if columns(pieces[-1]) + _width(letter) > room:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _width(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Cf", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
