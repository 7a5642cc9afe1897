"""Killing any process of the system during the demo changes no figure: clients repeat by key."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cli.demo.run import Options, run_demo
from tests.chaos.faults import SHORT
from tests.promises import Tally
from tests.provider_audit import audit_charges
from tests.stack import Stack

FAULTS = (
    "kill a host",
    "kill Postgres",
    "kill a replica",
    "kill HAProxy",
    "kill Valkey",
    "kill the keeper",
    "kill the Serve controller",
)
PAUSE_SECONDS = 1.5


@pytest.mark.timeout(400)
async def test_the_demo_balances_all_the_same(
    victim: Stack, figures: list[str], tally: Tally
) -> None:
    await asyncio.to_thread(victim.wait_ready)
    options = Options(url=victim.url, settings=victim.settings).quick()
    options = replace(options, rounds=16, most_seconds=300)
    began = datetime.now(UTC)
    demo = asyncio.create_task(run_demo(options))
    struck = 0
    rng = random.Random(3)
    for name in FAULTS:
        done, _ = await asyncio.wait({demo}, timeout=PAUSE_SECONDS)
        if done:
            break
        await asyncio.to_thread(SHORT[name], victim, rng)
        struck += 1
    report = await demo
    repeated = sum(phase.repeated for phase in report.phases)
    receipts = sum(till.receipts for till in report.proof.tills)
    figures.append(
        f"demo under {struck} kills: {report.seconds} s, {receipts} receipts, {repeated} repeated,"
        f" proof {'holds' if report.ok else 'BROKEN'}"
    )
    assert report.ok, report
    charges = await audit_charges(victim, began)
    assert charges >= report.proof.card_sales
    assert struck >= 3
    tally(kills=struck, receipts=receipts)
