"""What is written of an aggregate is what it is restored from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from actors.families import FAMILIES, commerce
from actors.purchasing import model as p
from actors.runtime.family import Change, Context, Key
from actors.stock import model as m
from actors.stock import transfers as t
from actors.stock.levels import item_key, stock_key
from actors.till import model as till
from core.ids import uuid7
from core.settings import Settings
from store.hosts.journal import HostStore
from store.hosts.leases import Incarnation

_LOADER = FAMILIES["commerce"].loader
_WRITTEN = {name.split()[0] for name in commerce.rows}
TENANT, ITEM, OTHER, PLACE = uuid7(), uuid7(), uuid7(), uuid7()
CONTEXT = Context(3, TENANT, "alice", uuid7(), 1_700_000_000_001, 1_700_000_000_002)
MS = 1_700_000_000_123
LINES = (m.Line(ITEM, 2), m.Line(OTHER, 2_000_000))

STOCK = m.Stock(
    on_hand=9,
    reserved=1,
    incoming=2,
    low_stock_threshold=8,
    min_available=-5,
    counted_at_ms=MS,
    sequence=7,
)
SHIFT = till.Shift(
    id=uuid7(),
    number=3,
    opened_by="bob",
    opened_at_ms=MS,
    opening_float_minor=5_000,
    currency="EUR",
    totals=till.Totals(sales=2, sales_minor=900, taken={"cash": 900}, taxes={190_000: (756, 144)}),
)
REGISTER = till.Register(
    location_id=TENANT,
    name="Front",
    discount_limit_percent=15,
    next_receipt_number=12,
    shifts=3,
    shift=SHIFT,
    sequence=40,
)
LINE = till.SaleLine(
    item_id=ITEM,
    product_id=OTHER,
    name='Tea "Earl"\n',
    sku="TEA",
    quantity=3,
    unit_price_minor=400,
    discount_minor=30,
    tax_rate_ppm=190_000,
    tax_minor=187,
    total_minor=1_170,
    parts=(till.Part(ITEM, 1), till.Part(OTHER, 2)),
    card_id=uuid7(),
)
PAYMENT = till.Payment(till.Method.GIFT_CARD, 1_200, "ref", uuid7())
SALE = till.Sale(
    register_id=uuid7(),
    location_id=PLACE,
    shift_id=uuid7(),
    receipt_number=5,
    currency="EUR",
    status=till.SaleStatus.COMPLETED,
    tips_minor=30,
    lines=(LINE, replace(LINE, name="Cup", parts=(), card_id=None)),
    payments=(PAYMENT, replace(PAYMENT, method=till.Method.CASH, amount_minor=1_170)),
    digest=b"\x00\xff",
)
SOLD = till.Sold(
    sale=SALE,
    customer_id=None,
    note="by hand",
    prices_include_tax=True,
    tendered_minor=2_400,
    change_minor=30,
    reservation_id=uuid7(),
    offline=till.Offline(uuid7(), MS, "carol", b"\x00\xff", "P-1"),
)
RETURNED = replace(
    SALE,
    status=till.SaleStatus.PARTLY_RETURNED,
    lines=(LINE, replace(SALE.lines[1], returned=1)),
    payments=(replace(PAYMENT, refunded_minor=390), SALE.payments[1]),
    sequence=2,
)
PURCHASE = p.Purchase(
    terms=p.Terms(uuid7(), PLACE, "EUR", "PO-1", MS),
    lines=(p.PurchaseLine(ITEM, 5, 120, 2, 1), p.PurchaseLine(OTHER, 1, 7)),
    status=p.PurchaseStatus.PARTLY_RECEIVED,
    created_by="bob",
    created_at_ms=MS,
    ordered_at_ms=MS + 1,
    sequence=4,
)
RESERVATION = m.Reservation(
    lines=LINES,
    status=m.Status.RELEASED,
    created_by="bob",
    created_at_ms=MS,
    expires_at_ms=MS + 1,
    reference="order 1",
    location_id=PLACE,
    sequence=6,
)
TRANSFER = t.Transfer(
    lines=LINES,
    from_location_id=uuid7(),
    to_location_id=uuid7(),
    status=t.TransferStatus.RECEIVED,
    created_by="bob",
    created_at_ms=MS,
    closed_at_ms=MS + 1,
    reference="truck",
    sequence=2,
)
CARD = till.GiftCard(
    currency="EUR",
    last_four="1A2B",
    initial_minor=5_000,
    balance_minor=1_200,
    expires_at_ms=MS,
    disabled=True,
    sequence=3,
)


def key(kind: str) -> Key:
    return Key(kind, CONTEXT.shard, TENANT, uuid7())


def written(kind: str, *states: Any, event: Any = None) -> tuple[Key, list[Change]]:
    """Changes that leave the last of `states` behind, by way of the others."""
    named, before = key(kind), None
    changes = []
    for state in states:
        changes.append(Change(named, event, before, state, CONTEXT))
        event, before = None, state
    return named, changes


@pytest.fixture
async def host(embedded: Settings) -> AsyncIterator[HostStore]:
    store = HostStore(embedded.host_database_url, Incarnation(uuid7(), "h", "m", 1))
    yield store
    await store.close()
    owner = await asyncpg.connect(embedded.owner_database_url)
    for table in (*_WRITTEN, "outbox"):
        await owner.execute(f"DELETE FROM {table} WHERE tenant_id = $1", TENANT)
    await owner.close()


@pytest.mark.parametrize(
    ("kind", "states", "event"),
    [
        (m.RESERVATION, [RESERVATION], None),
        (m.RESERVATION, [replace(RESERVATION, reference=None)], None),
        (t.TRANSFER, [TRANSFER], None),
        (t.TRANSFER, [replace(TRANSFER, closed_at_ms=None, reference=None)], None),
        (p.PURCHASE, [PURCHASE], None),
        (p.PURCHASE, [replace(PURCHASE, terms=p.Terms(uuid7(), PLACE, "EUR"))], None),
        (till.REGISTER, [REGISTER], None),
        (till.REGISTER, [replace(REGISTER, shift=None, removed=True)], None),
        (till.SALE, [SALE], SOLD),
        (till.SALE, [SALE, RETURNED], SOLD),
        (till.GIFT_CARD, [CARD], None),
        (till.GIFT_CARD, [replace(CARD, expires_at_ms=None, disabled=False)], None),
    ],
)
async def test_what_is_written_is_what_is_restored(
    kind: str, states: list[Any], event: Any, host: HostStore
) -> None:
    named, changes = written(kind, *states, event=event)
    # As two batches: what is net of both would hide what the second one changes.
    for change in changes:
        await host.commit({}, [(_LOADER, commerce.project([change]))], [])
    assert await restored(host, named) == states[-1]


async def test_an_item_and_its_levels_are_what_is_restored(host: HostStore) -> None:
    item = m.Item(
        discontinued=True, backorder_limit=5, location_ids=(TENANT,), sequence=9, parent=True
    )
    at, of = stock_key(CONTEXT, ITEM, None), item_key(CONTEXT, ITEM)
    changes = [Change(of, None, None, item, CONTEXT), Change(at, None, None, STOCK, CONTEXT)]
    await host.commit({}, [(_LOADER, commerce.project(changes))], [])
    assert (await restored(host, at), await restored(host, of)) == (STOCK, item)
    moved = replace(STOCK, on_hand=4, low=True, sequence=8)
    await host.commit(
        {}, [(_LOADER, commerce.project([Change(at, None, STOCK, moved, CONTEXT)]))], []
    )
    assert await restored(host, at) == moved


async def test_a_line_of_the_ledger_is_what_happened(host: HostStore, embedded: Settings) -> None:
    """It is written by place, for speed: each of its numbers is another one."""
    movement = m.Movement(
        "sold", -1, -2, 3, reason="why", reference="ref", reservation_id=OTHER, occurred_at_ms=MS
    )
    at = stock_key(CONTEXT, ITEM, None)
    changes = [Change(at, movement, STOCK, STOCK, CONTEXT)]
    rows = commerce.project(changes)
    del rows["stock_levels moved"]
    await host.commit({}, [(_LOADER, rows)], [])
    owner = await asyncpg.connect(embedded.owner_database_url)
    line = await owner.fetchrow(
        "SELECT *, (extract(epoch FROM occurred_at) * 1000)::bigint AS occurred,"
        " (extract(epoch FROM recorded_at) * 1000)::bigint AS recorded"
        " FROM stock_movements WHERE tenant_id = $1",
        TENANT,
    )
    await owner.close()
    assert line is not None
    assert {name: line[name] for name in dict(line).keys() - {"occurred_at", "recorded_at"}} == {
        "product_id": ITEM,
        "location_id": TENANT,
        "sequence": STOCK.sequence,
        "tenant_id": TENANT,
        "kind": "sold",
        "on_hand_delta": -1,
        "reserved_delta": -2,
        "incoming_delta": 3,
        "on_hand_after": STOCK.on_hand,
        "reserved_after": STOCK.reserved,
        "incoming_after": STOCK.incoming,
        "reason": "why",
        "reference": "ref",
        "reservation_id": OTHER,
        "command_id": CONTEXT.command_id,
        "created_by": "alice",
        "occurred": MS,
        "recorded": CONTEXT.now_ms,
    }


async def restored(host: HostStore, named: Key) -> Any:
    """As a host does that loads it."""
    rows = await host.load(_LOADER, [named])
    return commerce.restore(named, rows[named])
