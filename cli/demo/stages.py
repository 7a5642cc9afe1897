"""The stages of the demo: import, replay, flash sale, and the reading of the proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cli.demo.meter import Meter, Phase, Show
from cli.demo.proof import Level, Movement, Proof
from cli.demo.retail import Invoice, Retail
from cli.demo.shop import Manner, Shop, Till, checked, crowd
from cli.import_products import ImportReport, import_products

MOST_UNITS_AT_ONCE = 3
SENT_TWICE_SHARE = 0.10
HUNG_UP_SHARE = 0.05
_PAGE = 100

Job = tuple[str, Invoice]


async def stock_shelves(
    shop: Shop, retail: Retail, opening: Mapping[str, int], source: str, show: Show
) -> ImportReport:
    """Imports the goods with their opening stock. `source` is the hash of the file."""
    total = len(retail.lines) + len(retail.rejects)

    def progress(report: ImportReport) -> None:
        seen = report.created + report.repeated + len(report.rejects)
        show("Import", seen, total, f"{report.created} products, {report.stocked} with stock")

    show("Import", 0, total, "")
    report = await import_products(
        shop.owner, retail.products(opening), run=shop.run, source=source, progress=progress
    )
    shop.products = report.product_ids
    for sku, product_id in shop.products.items():
        shop.books.opened(product_id, opening.get(sku, 0))
    return report


async def replay(shop: Shop, invoices: Sequence[Invoice], rounds: int, show: Show) -> Phase:
    """Sells what each invoice says, or takes it back, in the file's order, many at once."""
    meter = Meter("Replay")
    jobs = _jobs(invoices, rounds)
    total, done = len(invoices) * rounds, 0

    async def work(till: Till) -> None:
        nonlocal done
        for reference, invoice in jobs:
            await _replay_one(shop, till, reference, invoice, meter)
            done += 1

    def tick() -> None:
        show(meter.name, done, total, shop.note(meter))

    await crowd((work(till) for till in shop.tills), tick)
    return shop.phase(meter)


def _jobs(invoices: Sequence[Invoice], rounds: int) -> Iterator[Job]:
    for number in range(1, rounds + 1):
        for invoice in invoices:
            yield invoice.number if rounds == 1 else f"{invoice.number}/{number}", invoice


async def _replay_one(
    shop: Shop, till: Till, reference: str, invoice: Invoice, meter: Meter
) -> None:
    units = {shop.products[sku]: count for sku, count in invoice.units.items()}
    if invoice.is_return:
        await shop.give_back(units, reference)
    elif refused := await till.sell(units, reference, meter):
        # The shelves were stocked for every order that the invoices may come in.
        shop.books.faults.append(f"{reference} was refused, {refused.available} available")


async def flash_sale(shop: Shop, skus: Sequence[str], show: Show) -> Phase:
    """Every till buys one to three of the best sellers, again and again, until each of these
    was refused to it with nothing left."""
    meter = Meter("Flash sale")
    products = [shop.products[sku] for sku in skus]
    total = 0
    for product_id in products:
        total += (await _level(shop.tills[0], product_id)).quantity

    async def work(number: int, till: Till) -> None:
        wanted = set(products)
        purchase = 0
        while wanted:
            product_id = till.random.choice(sorted(wanted))
            units = till.random.randint(1, MOST_UNITS_AT_ONCE)
            while units:
                purchase += 1
                reference = f"flash-{number}-{purchase}"
                refused = await till.sell({product_id: units}, reference, meter, _manner(till))
                units = refused.available[product_id] if refused else 0
                if refused and not units:
                    wanted.discard(product_id)

    def tick() -> None:
        show(meter.name, meter.units, total, shop.note(meter))

    await crowd((work(number, till) for number, till in enumerate(shop.tills)), tick)
    return shop.phase(meter)


def _manner(till: Till) -> Manner:
    draw = till.random.random()
    if draw < SENT_TWICE_SHARE:
        return Manner.TWICE
    return Manner.HANGS_UP if draw < SENT_TWICE_SHARE + HUNG_UP_SHARE else Manner.PLAIN


async def prove(shop: Shop, sold_out: Sequence[str], show: Show) -> Proof:
    """Reads every level and every ledger from the API and holds them against the books."""
    proof = Proof()
    gone = {shop.products[sku] for sku in sold_out}
    todo = iter(shop.products.items())
    total = len(shop.products)

    async def work(till: Till) -> None:
        for sku, product_id in todo:
            level = await _level(till, product_id)
            ledger, length = await _ledger(till, product_id)
            proof.add(sku, shop.books.accounts[product_id], level, ledger)
            if len(ledger) != length:
                proof.found([f"{sku}: the ledger has {length} lines, {len(ledger)} were given"])
            if product_id in gone and level.quantity:
                proof.found([f"{sku}: refused as sold out, but {level.quantity} are left"])

    def tick() -> None:
        show("Proof", proof.products, total, f"{proof.movements} ledger lines")

    await crowd((work(till) for till in shop.tills), tick)
    body = await shop.owner.get("/api/inventory/reservations", status="open", limit=1)
    if held := body["pagination"]["total"]:
        proof.found([f"{held} reservations are still open"])
    proof.found(shop.books.faults)
    return proof


async def _level(till: Till, product_id: str) -> Level:
    data = checked(await till.client.request("GET", f"/api/inventory/{product_id}"))
    return Level(data["quantity"], data["onHand"], data["reserved"])


async def _ledger(till: Till, product_id: str) -> tuple[list[Movement], int]:
    """All of a product's ledger, oldest first, and how many lines it says that it has."""
    path = f"/api/inventory/{product_id}/movements"
    lines: list[Movement] = []
    page = 0
    while True:
        page += 1
        body = await till.client.get(path, page=page, limit=_PAGE)
        lines += [_movement(row) for row in body["data"]]
        total: int = body["pagination"]["total"]
        if len(body["data"]) < _PAGE or len(lines) >= total:
            return lines[::-1], total


def _movement(row: Mapping[str, Any]) -> Movement:
    return Movement(
        row["sequence"],
        row["kind"],
        row["onHandDelta"],
        row["reservedDelta"],
        row["onHandAfter"],
        row["reservedAfter"],
        row["reason"],
        row["reservationId"],
    )
