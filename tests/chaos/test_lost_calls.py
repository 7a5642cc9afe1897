"""Promise 5: lost and repeated calls are harmless. Ray itself loses a part of all calls from
process to process (`RAY_testing_rpc_failure`), on their way there, on their way back, or while
they are being answered."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator

import pytest

from tests.chaos.storm import storm
from tests.promises import Share, Tally
from tests.stack import FIRST_PORT, Stack, running_stack

# In percent of the calls of each process.
LOSSES = {
    "num_failures": -1,
    "req_failure_prob": 2,
    "resp_failure_prob": 2,
    "in_flight_failure_prob": 1,
}
MIN_SECONDS, MAX_SECONDS = 20.0, 600.0
_RETRIES = re.compile(r"^holdfast_command_retries_total\{[^}]*\} ([\d.e+]+)$", re.MULTILINE)

pytestmark = pytest.mark.skipif(
    "HOLDFAST_CHAOS" not in os.environ, reason="make chaos has the time for a copy of its own"
)


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A copy whose calls get lost, and whose commands all go by calls."""
    losses = {"CoreWorkerService.grpc_client.PushTask": LOSSES}
    environment = {"RAY_testing_rpc_failure": json.dumps(losses), "HOLDFAST_STREAMS": "off"}
    home = tmp_path_factory.mktemp("lossy")
    with running_stack(home, port=FIRST_PORT + 380, environment=environment) as stack:
        yield stack


async def _retries(stack: Stack) -> float:
    async with stack.client() as http:
        text = (await http.get("/metrics")).text
    return sum(float(number) for number in _RETRIES.findall(text))


@pytest.mark.timeout(900)
async def test_lost_calls_are_harmless(
    lossy: Stack, figures: list[str], tally: Tally, share: Share
) -> None:
    before = await _retries(lossy)
    seconds = min(max(MIN_SECONDS, share.left_seconds), MAX_SECONDS)
    aftermath = await storm(
        lossy, [], random.SystemRandom().randrange(10**6), least_seconds=seconds
    )
    retries = int(await _retries(lossy) - before)
    figures += aftermath.figures()
    aftermath.check()
    assert retries, "nothing got lost, so nothing was shown"
    tally(commands=len(aftermath.load.log), lost_calls=retries, audits=1)
