"""The documents lead somewhere: links have an end, and each decision is numbered once and found."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "tests/*.md", "bench/*.md", "store/migrations/*.md")
    for path in ROOT.glob(pattern)
)
CODE = ("core", "store", "actors", "gateway", "deployments", "cli", "tests", "bench")

_LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_PATH = re.compile(rf"`(?P<path>(?:{'|'.join((*CODE, 'docs'))})/[\w./-]*)`")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _anchors(path: Path) -> set[str]:
    """Those that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_what_a_document_refers_to_is_there() -> None:
    assert [lost for document in DOCUMENTS for lost in _lost(document)] == []


def _lost(document: Path) -> list[tuple[str, str]]:
    """The document, and what it refers to in vain."""
    text = _FENCED.sub("", document.read_text())
    lost = [path["path"] for path in _PATH.finditer(text) if not (ROOT / path["path"]).exists()]
    for link in _LINK.finditer(text):
        target = (document.parent / link["path"]).resolve() if link["path"] else document
        if not target.exists() or (link["anchor"] and link["anchor"] not in _anchors(target)):
            lost.append(link[0])
    return [(_name(document), words) for words in lost]


def test_a_decision_has_the_form_of_all_others() -> None:
    form = re.compile(
        r"# (?P<number>\d{4})\. [^\n]+\n\n"
        r"Date: \d{4}-\d\d-\d\d\. Status: (Accepted|Superseded by\s\[\d{4}\]\()"
        r"[^\n]*(\n[^\n]+)*\n\n\S"
    )
    found = {record.name[:4]: form.match(record.read_text()) for record in RECORDS}
    assert [name for name, match in found.items() if not match or match["number"] != name] == []


def test_each_decision_has_a_number_of_its_own_and_a_line_in_the_index() -> None:
    numbers = [record.name[:4] for record in RECORDS]
    assert numbers == [f"{number:04d}" for number in range(1, len(RECORDS) + 1)]
    lines = re.findall(r"^- (\d{4}) \[(.+)\]\((\S+)\)", (DECISIONS / "README.md").read_text(), re.M)
    named = {(record.name[:4], _title(record), record.name) for record in RECORDS}
    assert sorted(lines) == sorted(named)


def _title(record: Path) -> str:
    return record.read_text().split("\n", 1)[0].split(". ", 1)[1]


def test_code_refers_to_decisions_that_there_are() -> None:
    numbers = {record.name[:4] for record in RECORDS}
    cited = {
        (_name(path), number)
        for room in CODE
        for path in (ROOT / room).rglob("*.py")
        for number in re.findall(r"\bdecision (\d{4})\b", path.read_text())
    }
    assert [(path, number) for path, number in sorted(cited) if number not in numbers] == []
