"""Receipts as PDF: what is written on them can be read out of them."""

from __future__ import annotations

import re
import zlib

import pytest

from deployments.pos.receipts.slips import COLUMNS, Slip, as_pdf, as_text

_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_MAPPING = re.compile(rb"<([0-9A-Fa-f]{4})> <([0-9A-Fa-f]{4})>")


def letters(pdf: bytes) -> set[str]:
    """What a reader that copies text finds out of the font that is carried along."""
    found = set()
    for stream in _STREAM.findall(pdf):
        try:
            content = zlib.decompress(stream)
        except zlib.error:
            content = stream
        if b"beginbfchar" in content or b"beginbfrange" in content:
            found |= {chr(int(code, 16)) for _, code in _MAPPING.findall(content)}
    return found


def slip(name: str) -> Slip:
    return Slip(("Corner Shop",), ((f"1 x {name}", "2.50"),), ("Thank you",))


@pytest.mark.parametrize(
    "name",
    ["Żółta łąka", "Зелёный чай", "Πράσινο τσάι", "Çay, ığdır", "Český čaj"],  # noqa: RUF001
)
def test_letters_beyond_the_western_ones_are_printed(name: str) -> None:
    pdf = as_pdf(slip(name))
    assert set(name) - {" "} <= letters(pdf)
    assert b"DejaVu" in pdf


def test_western_letters_need_no_font_of_ours() -> None:
    pdf = as_pdf(slip("Thé à la crème €"))
    assert b"DejaVu" not in pdf
    assert len(pdf) < 3_000


def test_what_no_font_has_is_a_question_mark() -> None:
    found = letters(as_pdf(slip("茶 żółta")))
    assert "?" in found
    assert "茶" not in found
    assert "ż" in found


def test_lines_fit_on_the_paper() -> None:
    from fpdf import FPDF

    from deployments.pos.receipts import slips

    wide = as_text(slip("ж" * 200)).splitlines()
    assert max(map(len, wide)) == COLUMNS
    pdf = FPDF(unit="mm")
    font = slips.files("barcode") / "fonts" / "DejaVuSansMono.ttf"
    pdf.add_font("DejaVu", fname=str(font))
    pdf.set_font("DejaVu", size=8)
    assert pdf.get_string_width("ж" * COLUMNS) <= 80 - 2 * 4
