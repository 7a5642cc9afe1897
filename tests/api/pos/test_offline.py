"""Sales that were made without a network: uploaded in any order, any number of times."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from actors.till import sell
from core.principal import Role
from deployments.kit.receipts import RECEIPT_HEADER
from tests.api.pos.offline_kit import (
    ROUTE,
    ago,
    close,
    offline,
    refused,
    upload,
)
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_what_was_charged_is_recorded_as_it_was(shop: Shop) -> None:
    """Today's price and the stock that is not there do not matter."""
    await shop.tax(19, included=True)
    tea = await shop.goods(9.99, 1, sku="TEA")
    member = str((await shop.caller(Role.CASHIER)).id)
    line = {"sku": "TEA", "quantity": 3, "unitPrice": 2.5, "discount": 0.5}
    body = offline(shop, tea) | {
        "offlineNumber": "T1-0007",
        "lines": [line | {"taxPercent": 19, "tax": 1.12, "total": 7}],
        "tips": 0.5,
        "total": 7.5,
        "payments": [
            {"method": "external", "amount": 5, "reference": "slip 12"},
            {"method": "cash", "amount": 3},
        ],
        "cashierId": member,
        "note": "no network",
    }
    answer = await upload(shop.owner, body)
    assert (answer["recorded"], answer["repeated"], answer["rejected"]) == (1, 0, 0)
    (made,) = answer["sales"]
    assert (made["clientSaleId"], made["receiptNumber"]) == (body["clientSaleId"], 1)
    sale = done(await shop.owner.get(f"/api/pos/sales/{made['saleId']}"))
    assert (sale["total"], sale["tax"], sale["change"], sale["tips"]) == (7.5, 1.12, 0.5, 0.5)
    assert (sale["cashierId"], sale["shiftId"]) == (member, made["shiftId"])
    assert datetime.fromisoformat(sale["createdAt"]) < datetime.fromisoformat(
        sale["offline"]["uploadedAt"]
    )
    assert sale["offline"]["uploadedBy"] == str(shop.owner.id)
    assert sale["offline"]["offlineNumber"] == "T1-0007"
    assert await shop.on_hand(tea) == -2
    assert (await shop.report())["expectedCash"] == 102.5
    slip = await shop.owner.get(f"/api/pos/sales/{made['saleId']}/receipt")
    assert "Receipt 1 (offline T1-0007)" in slip.text
    assert "19%" in slip.text
    events = await shop.sees("SELECT type, data FROM outbox ORDER BY type")
    told = {row["type"]: row["data"] for row in events}
    assert told["pos.sale.completed.v1"]["offline"] is True
    assert told["pos.sale.completed.v1"]["cashierId"] == member
    assert told["inventory.stock.oversold.v1"]["available"] == -2


async def test_lists_tell_offline_sales_from_others(shop: Shop) -> None:
    tea = await shop.goods(2)
    online = done(await shop.sell(tea))["id"]
    body = offline(shop, tea, occurredAt=ago(days=3))
    uploaded = (await upload(shop.owner, body))["sales"][0]["saleId"]

    async def listed(**query: Any) -> list[str]:
        found = (await shop.owner.get("/api/pos/sales", params=query)).json()
        return [sale["id"] for sale in found["data"]]

    assert await listed() == [online, uploaded]
    assert await listed(offline="true") == [uploaded]
    assert await listed(offline="false") == [online]
    # By the day on which it was sold.
    day = await shop.sees(
        "SELECT (created_at AT TIME ZONE 'Europe/Berlin')::date::text AS day FROM pos_sales"
        " WHERE client_sale_id IS NOT NULL"
    )
    assert await listed(date=day[0]["day"]) == [uploaded]


async def test_the_same_batch_from_five_clients_at_once_is_recorded_once(shop: Shop) -> None:
    tea = await shop.goods(2, 10)
    batch = [offline(shop, tea, 1 + number % 3) for number in range(40)]
    clients = [await shop.caller(Role.CASHIER) for _ in range(5)]
    orders = [batch, batch[::-1], batch[20:] + batch[:20], batch + batch[:9], batch[::2] + batch]
    online = [shop.sell(tea) for _ in range(5)]
    answers = await asyncio.gather(
        *(upload(client, *order) for client, order in zip(clients, orders, strict=True)), *online
    )
    sold = [
        answer for answer in answers if isinstance(answer, httpx2.Response) and answer.is_success
    ]
    uploads = [answer for answer in answers if isinstance(answer, dict)]
    assert sum(answer["recorded"] for answer in uploads) == 40
    assert sum(answer["repeated"] for answer in uploads) == sum(map(len, orders)) - 40
    # Everybody was told the same of each.
    told = {
        (sale["clientSaleId"], sale["saleId"], sale["receiptNumber"])
        for answer in uploads
        for sale in answer["sales"]
    }
    assert len(told) == 40
    units = sum(sale["lines"][0]["quantity"] for sale in batch)
    assert await shop.on_hand(tea) == 10 - units - len(sold)
    assert (await shop.report())["expectedCash"] == 100 + 2 * units + 2 * len(sold)
    rows = await shop.sees("SELECT number FROM pos_receipts ORDER BY number")
    assert [row["number"] for row in rows] == list(range(1, 41 + len(sold)))
    await _ledger_adds_up(shop, tea)


async def _ledger_adds_up(shop: Shop, product: str) -> None:
    (row,) = await shop.sees(
        "SELECT sum(on_hand_delta) AS moved FROM stock_movements WHERE product_id = :id",
        id=product,
    )
    assert row["moved"] == await shop.on_hand(product)


async def test_the_database_keeps_a_sale_from_being_recorded_twice_without_the_rule(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of the table is the last line of defence."""
    tea = await shop.goods(2, 10)
    body = offline(shop, tea)
    monkeypatch.setattr(sell, "_again", lambda *_: None)
    answer = await upload(shop.owner, *[body] * 5)
    found = Counter((sale["problem"] or {"code": "none"})["code"] for sale in answer["sales"])
    assert found == {"none": 1, "conflict": 4}
    assert await shop.on_hand(tea) == 9
    assert (await shop.report())["expectedCash"] == 102


async def test_another_sale_under_the_same_id_is_a_conflict_of_its_own(shop: Shop) -> None:
    tea = await shop.goods(2)
    body, good = offline(shop, tea), offline(shop, tea)
    made = (await upload(shop.owner, body))["sales"][0]
    other = body | {"note": "another"}
    answer = await upload(shop.owner, other, good)
    assert [sale["status"] for sale in answer["sales"]] == ["rejected", "recorded"]
    found = answer["sales"][0]["problem"]
    assert (found["status"], found["code"]) == (409, "client_sale_id_reused")
    assert found["saleId"] == made["saleId"]
    # In one batch the first one counts.
    twice = offline(shop, tea)
    answer = await upload(shop.owner, twice, twice, twice | {"total": 2, "note": "x"})
    assert sorted(sale["status"] for sale in answer["sales"]) == [
        "recorded",
        "rejected",
        "repeated",
    ]
    assert await shop.on_hand(tea) == 7


async def test_however_it_is_written_the_same_sale_is_the_same(shop: Shop) -> None:
    tea = await shop.goods(2)
    body = offline(shop, tea)
    moment = datetime.now(UTC) - timedelta(hours=1)
    body["occurredAt"] = moment.isoformat()
    made = (await upload(shop.owner, body))["sales"][0]
    elsewhere = moment.astimezone(datetime.now().astimezone().tzinfo).isoformat()
    again = body | {"occurredAt": elsewhere, "total": 2.0, "note": None, "tips": 0}
    again["clientSaleId"] = again["clientSaleId"].upper()
    (told,) = (await upload(await shop.caller(Role.CASHIER), again))["sales"]
    assert told == made | {"status": "repeated"}


async def test_one_bad_sale_does_not_keep_the_others_out(shop: Shop) -> None:
    tea = await shop.goods(2)
    good = [offline(shop, tea), offline(shop, tea)]
    bad = offline(shop, tea, lines=[])
    answer = await upload(shop.owner, good[0], bad, "nonsense", good[1])
    assert [sale["status"] for sale in answer["sales"]] == [
        "recorded",
        "rejected",
        "rejected",
        "recorded",
    ]
    assert answer["sales"][1]["clientSaleId"] == bad["clientSaleId"]
    assert answer["sales"][2]["clientSaleId"] is None


LINE = {"unitPrice": 2, "total": 2}
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("occurredAt", {"occurredAt": ago(days=-1)}),
    ("occurredAt", {"occurredAt": ago(days=31)}),
    ("occurredAt", {"occurredAt": "yesterday"}),
    ("total", {"total": 3}),
    ("total", {"tips": 1}),
    ("lines[0].total", {"lines": [{"quantity": 2, **LINE}], "total": 2}),
    ("lines[0].discount", {"lines": [{**LINE, "discount": 3}]}),
    ("lines[0].tax", {"lines": [{**LINE, "taxPercent": 19, "tax": 0.34}]}),
    ("lines[0].tax", {"lines": [{**LINE, "tax": 0.02}]}),
    (
        "lines[0].total",
        {"lines": [{**LINE, "taxPercent": 50, "tax": 1}], "pricesIncludeTax": False},
    ),
    ("lines[0].unitPrice", {"lines": [{**LINE, "unitPrice": 1.999}]}),
    ("lines[0].taxPercent", {"lines": [{**LINE, "taxPercent": 1100}]}),
    ("payments[0].method", {"payments": [{"method": "card", "amount": 2}]}),
    ("payments[0].method", {"payments": [{"method": "gift_card", "amount": 2}]}),
    ("payments[0].amount", {"payments": [{"method": "cash", "amount": 0}]}),
    ("cashierId", {"cashierId": str(uuid4())}),
    ("clientSaleId", {"clientSaleId": "7"}),
    ("nonsense", {"nonsense": 1}),
]


async def test_what_cannot_have_been_is_named_and_not_written(shop: Shop) -> None:
    tea = await shop.goods(2)
    for name, wrong in WRONG:
        body = offline(shop, tea) | wrong
        if "lines" in wrong:
            body["lines"] = [{"productId": tea, **line} for line in wrong["lines"]]
        found = await refused(shop, body)
        assert (found["status"], found["code"]) == (400, "validation_failed"), name
        assert [error["field"] for error in found["errors"]] == [name], found
    for status, code, wrong in (
        (409, "payment_short", {"payments": [{"method": "cash", "amount": 1}]}),
        (409, "change_not_cash", {"payments": [{"method": "external", "amount": 3}]}),
        (404, "not_found", {"registerId": str(uuid4())}),
        (404, "not_found", {"locationId": str(uuid4())}),
        (404, "not_found", {"lines": [{"productId": str(uuid4()), **LINE}]}),
    ):
        found = await refused(shop, offline(shop, tea) | wrong)
        assert (found["status"], found["code"]) == (status, code)
    assert await shop.sees("SELECT id FROM pos_sales") == []
    assert await shop.on_hand(tea) == 10


async def test_the_batch_itself_is_bounded(shop: Shop) -> None:
    tea = await shop.goods(2)
    for sales in ([], [offline(shop, tea)] * 101, "x"):
        answer = await shop.owner.post(ROUTE, {"sales": sales})
        assert problem(answer, 400)["errors"][0]["field"] == "sales"
    assert (await upload(shop.owner, *[offline(shop, tea)] * 100))["recorded"] == 1


async def test_tax_may_be_rounded_as_the_register_does_it(shop: Shop) -> None:
    """By less than a unit per line."""
    tea = await shop.goods(2)
    line = {"productId": tea, "quantity": 3, "unitPrice": 1.99, "taxPercent": 19}
    tax, exclusive = {"tax": 0.96, "total": 5.97}, {"tax": 1.14, "total": 7.11}
    answer = await upload(
        shop.owner,
        offline(shop, tea, lines=[line | tax], total=5.97),
        offline(shop, tea, lines=[line | exclusive], total=7.11, pricesIncludeTax=False),
    )
    assert answer["recorded"] == 2
    assert (await shop.report())["taxes"] == [{"taxPercent": 19.0, "net": 10.98, "tax": 2.1}]


async def test_a_sale_belongs_to_the_open_shift_and_a_closed_one_never_changes(
    shop: Shop,
) -> None:
    tea = await shop.goods(2)
    body = offline(shop, tea)
    report = await close(shop)
    found = await refused(shop, body)
    assert (found["status"], found["code"]) == (409, "shift_closed")
    path = f"/api/pos/registers/{shop.register}/shifts"
    done(await shop.owner.post(path, {"openingFloat": 50}))
    made = (await upload(shop.owner, body))["sales"][0]
    assert made["status"] == "recorded"
    now = await shop.report()
    assert made["shiftId"] == now["id"] != report["id"]
    # The money is in the earlier shift's drawer: the person that counts today's is told.
    assert (now["expectedCash"], now["earlierCash"]) == (52, 2)
    again = done(await shop.owner.get(f"/api/pos/shifts/{report['id']}/report"))
    assert again == report
    assert (await close(shop))["earlierCash"] == 2


async def test_a_repeat_is_known_for_ever(shop: Shop) -> None:
    """Also when the sale could not be recorded any more."""
    tea = await shop.goods(2, sku="TEA")
    body = offline(shop, tea)
    body["lines"][0] = {"sku": "TEA", "unitPrice": 2, "total": 2}
    made = (await upload(shop.owner, body))["sales"][0]
    named = offline(shop, tea)
    assert (await shop.owner.call("DELETE", f"/api/products/{tea}")).is_success
    await close(shop)
    gone = await shop.owner.call("DELETE", f"/api/pos/registers/{shop.register}")
    assert gone.is_success
    (told,) = (await upload(shop.owner, body))["sales"]
    assert told == made | {"status": "repeated"}
    # What was sold before the product was deleted is recorded all the same, by its id.
    shop.register = await shop.open_register()
    assert (await refused(shop, body | {"clientSaleId": str(uuid4())}))["code"] == "not_found"
    later = await upload(shop.owner, named | {"registerId": shop.register})
    assert later["recorded"] == 1


async def test_goods_come_back_against_its_receipt(shop: Shop) -> None:
    tea = await shop.goods(2)
    body = offline(shop, tea, 3)
    made = (await upload(shop.owner, body))["sales"][0]
    back = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 2}]}
    returned = done(await shop.owner.post(f"/api/pos/sales/{made['saleId']}/returns", back))
    assert (returned["total"], returned["receiptNumber"]) == (4, 2)
    (told,) = (await upload(shop.owner, body))["sales"]
    assert told == made | {"status": "repeated"}
    assert await shop.on_hand(tea) == 9


async def test_a_count_knows_what_was_sold_before_it(shop: Shop) -> None:
    tea = await shop.goods(2, 10)
    before, after = offline(shop, tea, 2, occurredAt=ago(hours=2)), offline(shop, tea, 3)
    counted = {"productId": tea, "counted": 6, "countedAt": ago(hours=1)}
    done(await shop.owner.post("/api/inventory/counts", {"lines": [counted]}))
    await upload(shop.owner, after, before)
    # Ten came in after the count, and three of all went.
    assert await shop.on_hand(tea) == 13
    await _ledger_adds_up(shop, tea)


async def test_a_key_of_a_batch_is_kept(shop: Shop) -> None:
    tea = await shop.goods(2)
    body, key = offline(shop, tea), str(uuid4())
    first = await upload(shop.owner, body, key=key)
    assert first["recorded"] == 1
    assert await upload(shop.owner, body, key=key) == first
    problem(await shop.owner.post(ROUTE, {"sales": [offline(shop, tea)]}, key), 422)
    assert await shop.on_hand(tea) == 9


async def test_a_high_discount_needs_a_manager(shop: Shop) -> None:
    tea = await shop.goods(2)
    line = {"productId": tea, "unitPrice": 2, "discount": 1, "total": 1}
    body = offline(shop, tea, lines=[line], total=1)
    (told,) = (await upload(await shop.caller(Role.CASHIER), body))["sales"]
    assert told["problem"]["code"] == "discount_limit"
    assert (await upload(shop.owner, body))["recorded"] == 1


async def test_businesses_are_walls(shop: Shop) -> None:
    tea = await shop.goods(2)
    body = offline(shop, tea)
    mine = (await upload(shop.owner, body))["sales"][0]
    other = await shop.another()
    # Neither the register, nor the goods, nor the sale that has this name is there for them.
    found = await refused(other, body)
    assert (found["status"], found["code"]) == (404, "not_found")
    other.register = await other.open_register()
    assert (await refused(other, body | {"registerId": other.register}))["status"] == 404
    pot = await other.goods(2)
    theirs = offline(other, pot, clientSaleId=body["clientSaleId"])
    (made,) = (await upload(other.owner, theirs))["sales"]
    assert (made["status"], made["receiptNumber"]) == ("recorded", 1)
    assert made["saleId"] != mine["saleId"]
    assert (await refused(other, theirs | {"registerId": shop.register}))["status"] == 409
    assert await shop.on_hand(tea) == 9
    assert (await shop.report())["sales"] == 1


async def test_receipts_are_the_latest_of_each_aggregate(shop: Shop) -> None:
    tea = await shop.goods(2)
    body = {"sales": [offline(shop, tea) for _ in range(3)]}
    first = await shop.owner.post(ROUTE, body, "k")
    again = await shop.owner.post(ROUTE, body, "k")
    assert _decided(again) == _decided(first)
    more = await shop.owner.post(ROUTE, {"sales": [offline(shop, tea)]})
    assert _decided(more)[shop.register] == _decided(first)[shop.register] + 1
    known = await shop.owner.post(ROUTE, body)
    assert done(known)["repeated"] == 3
    assert RECEIPT_HEADER not in known.headers


def _decided(answer: httpx2.Response) -> dict[str, int]:
    """By aggregate, the number of the decision about it that the answer has a receipt of."""
    receipts = [receipt.split("; ") for receipt in answer.headers[RECEIPT_HEADER].split(", ")]
    decided = {name: int(sequence.removeprefix("seq=")) for name, sequence, _ in receipts}
    assert len(decided) == len(receipts)
    return decided
