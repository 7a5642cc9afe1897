"""What the proof is made from, read from the API after closing: levels, ledgers, receipts, Z
reports, gift cards, card payments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from cli.demo.books import Account, GiftCard
from cli.demo.documents import Return, Sale, SaleRow, minor, report_of, return_of, row_of
from cli.demo.meter import Show
from cli.demo.proof import Proof
from cli.demo.proof_money import (
    PaymentRead,
    TillRead,
    prove_card_payment,
    prove_gift_card,
    prove_till,
)
from cli.demo.proof_stock import Level, Movement, prove_stock
from cli.demo.sellers import Page, Till
from cli.demo.sending import crowd
from cli.demo.shop import Shop

_ROWS = 100

Check = Callable[[Page], Awaitable[None]]


async def prove(shop: Shop, sold_out: Sequence[str], show: Show) -> Proof:
    """Reads everything from the API and holds it against the books."""
    proof = Proof()
    todo = list(_checks(shop, proof, sold_out))
    checks, done = iter(todo), 0

    async def work(page: Page) -> None:
        nonlocal done
        for check in checks:
            await check(page)
            done += 1

    def tick() -> None:
        show("Proof", done, len(todo), f"{proof.stock.movements} ledger lines")

    await crowd((work(page) for page in shop.pages), tick)
    body = await shop.owner.get("/api/inventory/reservations", status="open", limit=1)
    if held := body["pagination"]["total"]:
        proof.found([f"{held} reservations are still open"])
    proof.tills.sort(key=lambda till: till.name)
    proof.found(shop.books.faults)
    return proof


def _checks(shop: Shop, proof: Proof, sold_out: Sequence[str]) -> Iterator[Check]:
    books = shop.books
    for till in shop.tills:
        yield partial(_till, shop, proof, till)
    for sku, product_id in shop.products.items():
        account, gone = books.accounts[product_id], sku in sold_out
        yield partial(_product, proof, sku, product_id, account, gone)
    for code, card in books.gift_cards.items():
        yield partial(_gift_card, proof, code, card)
    for payment_id, sale_id in books.card_payments.items():
        yield partial(_card_payment, proof, payment_id, books.sales.get(sale_id or ""))


async def _product(
    proof: Proof, sku: str, product_id: str, account: Account, gone: bool, page: Page
) -> None:
    level = await read_level(page, product_id)
    path = f"/api/inventory/{product_id}/movements"
    ledger = [_movement(row) async for row in _rows(page, path)]
    prove_stock(proof, sku, account, level, ledger[::-1])
    if gone and level.quantity:
        proof.found([f"refused as sold out, but {level.quantity} are left"], sku)


async def _till(shop: Shop, proof: Proof, till: Till, page: Page) -> None:
    register = await page.sender.client.get(f"/api/pos/registers/{till.register_id}")
    path = f"/api/pos/shifts/{till.book.shift_id}/report"
    report = report_of((await shop.owner.get(path))["data"])
    sales: list[SaleRow] = []
    returns: list[Return] = []
    async for data in _rows(page, "/api/pos/sales", registerId=till.register_id):
        sales.append(row_of(data))
        if sales[-1].refunded_minor:
            path = f"/api/pos/sales/{sales[-1].id}/returns"
            returns += [return_of(back) async for back in _rows(page, path)]
    number: int = register["data"]["nextReceiptNumber"]
    prove_till(proof, shop.books, till.book, TillRead(number, sales, returns, report))


async def _gift_card(proof: Proof, code: str, card: GiftCard, page: Page) -> None:
    body = await page.sender.client.get("/api/pos/gift-cards/balance", code=code)
    data = body["data"]
    prove_gift_card(proof, card, minor(data["balance"]), data["lastFour"])


async def _card_payment(proof: Proof, payment_id: str, sale: Sale | None, page: Page) -> None:
    data = (await page.sender.client.get(f"/api/pos/card-payments/{payment_id}"))["data"]
    kept = [minor(card["amount"]) for card in data["cards"] if card["status"] == "approved"]
    read = PaymentRead(data["status"], data["saleId"], kept)
    prove_card_payment(proof, payment_id, sale, read)


async def read_level(page: Page, product_id: str) -> Level:
    data = (await page.sender.client.get(f"/api/inventory/{product_id}"))["data"]
    return Level(data["quantity"], data["onHand"], data["reserved"])


async def _rows(page: Page, path: str, **params: Any) -> AsyncIterator[Mapping[str, Any]]:
    """All rows of a list, page by page."""
    where: dict[str, str] = {}
    while True:
        body = await page.sender.client.get(path, limit=_ROWS, **where, **params)
        for row in body["data"]:
            yield row
        following = body["pagination"].get("nextCursor")
        if following is None:
            return
        where = {"cursor": following}


def _movement(row: Mapping[str, Any]) -> Movement:
    return Movement(
        row["sequence"],
        row["kind"],
        row["onHandDelta"],
        row["reservedDelta"],
        row["onHandAfter"],
        row["reservedAfter"],
        row["reason"],
        row["reference"],
        row["reservationId"],
    )
