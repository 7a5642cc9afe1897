"""A shop with a register that sells offline too, in a test's hands."""

from __future__ import annotations

import hashlib
from uuid import UUID, uuid5

from actors.till import messages as t
from actors.till import model as m
from core.ids import uuid7
from tests.unit.stock_bench import TENANT, StockBench
from tests.unit.till_bench import CURRENCY, REGISTER, line

ITEMS = [UUID(int=number) for number in range(1, 4)]
PLENTY = UUID(int=9)
FLOAT_MINOR = 5_000
START_MS = 1_000_000


def shop() -> StockBench:
    """A register with an open shift."""
    bench = StockBench()
    bench.run(t.PutRegister(REGISTER, TENANT, "Till 1", 20, create=True))
    bench.run(t.OpenShift(REGISTER, uuid7(), FLOAT_MINOR, CURRENCY))
    return bench


def offline(
    item: UUID, quantity: int = 1, *, at_ms: int = START_MS, price_minor: int = 100, by: str = "ann"
) -> t.Sell:
    """A sale as it is uploaded, paid in cash with a coin too much."""
    client_sale_id = uuid7()
    sold = line(item, quantity, price_minor)
    digest = hashlib.sha256(client_sale_id.bytes).digest()
    return t.Sell(
        uuid5(TENANT, f"offline sale {client_sale_id}"),
        REGISTER,
        TENANT,
        CURRENCY,
        (sold,),
        (t.Tender(m.Method.CASH, sold.total_minor + 50),),
        offline=m.Offline(client_sale_id, at_ms, by, digest, "OFF-1"),
    )


def register(bench: StockBench) -> m.Register:
    found = bench.run(t.GetRegister(REGISTER))
    assert isinstance(found, t.RegisterState)
    return found.register
