"""`holdfast demo --quick` against a running copy: the proof holds, in both layouts."""

from __future__ import annotations

import pytest

from cli.demo.run import Options, run_demo
from tests.stack import Stack


@pytest.mark.timeout(300)
async def test_the_quick_demo_proves_the_stock_exact(stack: Stack) -> None:
    report = await run_demo(Options(url=stack.url).quick())
    assert report.proof is not None
    assert report.ok, report
    assert report.products > 0
    assert report.invoices > 0
    assert [phase.name for phase in report.phases]
