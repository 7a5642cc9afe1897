"""Figures of the chaos suite are part of its result: they are printed at the end, pass or fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stack import FIRST_PORT, Stack, running_stack

FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = terminalreporter.config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.line(line)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines to print at the end."""
    return request.config.stash.setdefault(FIGURES, [])


@pytest.fixture(scope="package")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A copy to be struck, in the layout with more processes."""
    home = tmp_path_factory.mktemp("victim")
    with running_stack(home, layout="split", port=FIRST_PORT + 200) as running:
        yield running
