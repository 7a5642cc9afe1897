"""`holdfast demo --quick` against a running copy: the proof holds, in both layouts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cli.demo.run import Options, run_demo
from tests.provider_audit import audit_charges
from tests.stack import Stack


@pytest.mark.timeout(300)
async def test_the_quick_demo_balances_to_the_penny(stack: Stack) -> None:
    began = datetime.now(UTC)
    report = await run_demo(Options(url=stack.url, settings=stack.settings).quick())
    assert report.ok, report
    assert report.products > 0
    assert report.invoices > 0
    day, flash = report.phases
    assert day.returns > 0
    assert day.declined > 0
    assert day.settled_later > 0
    assert flash.refused > 0
    proof = report.proof
    assert len(proof.tills) == report.registers
    assert proof.gift_cards > 0
    assert proof.card_sales > proof.split_sales > 0
    assert await audit_charges(stack, began) >= proof.card_sales + proof.split_sales
