"""The stages of the demo's day: goods come in, invoices are sold, the flash sale, closing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from cli.data.import_products import ImportReport, import_products
from cli.demo.day import DrawerMove, Job, PlannedReturn, Purchase
from cli.demo.documents import Sale, Units, major
from cli.demo.meter import Meter, Phase, Show
from cli.demo.reading import read_level
from cli.demo.retail import Retail, in_units
from cli.demo.sellers import Till
from cli.demo.sending import Refused, crowd
from cli.demo.shop import Shop
from cli.demo.tenders import Tender, bill_of

MAX_UNITS_AT_ONCE = 3


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
    prices = retail.prices_minor(shop.products)
    for sku, product_id in shop.products.items():
        shop.prices_minor[product_id] = prices[sku]
        shop.books.opened(product_id, in_units(sku, opening.get(sku, 0)))
    return report


async def sell_day(shop: Shop, plan: Sequence[Job], clients: int, show: Show) -> Phase:
    """Many clients work through the plan, in its order, each at the register of what it takes."""
    meter = Meter("The day")
    todo, done = iter(plan), 0
    sold: dict[str, asyncio.Future[Sale]] = {
        job.reference: asyncio.get_running_loop().create_future()
        for job in plan
        if isinstance(job, Purchase)
    }

    async def work() -> None:
        nonlocal done
        for job in todo:
            await _do(shop, job, sold, meter)
            done += 1

    def tick() -> None:
        show(meter.name, done, len(plan), shop.note(meter))

    await crowd((work() for _ in range(clients)), tick)
    return shop.phase(meter)


async def _do(shop: Shop, job: Job, sold: Mapping[str, asyncio.Future[Sale]], meter: Meter) -> None:
    match job:
        case Purchase():
            await _sell(shop, job, sold[job.reference], meter)
        case PlannedReturn():
            till = shop.tills[job.purchase.register]
            future = sold[job.purchase.reference]
            await asyncio.wait([future])
            if not future.cancelled():
                units = shop.units(job.units)
                await till.take_back(job, future.result(), units, meter, till.sender.manner())
        case DrawerMove():
            await shop.tills[job.register].move_cash(job)
        case _:
            await shop.put_back(shop.units(job.units), job.reference)


async def _sell(shop: Shop, job: Purchase, future: asyncio.Future[Sale], meter: Meter) -> None:
    till = shop.tills[job.register]
    bill = bill_of(shop.units(job.units), shop.prices_minor, job.discount_percent)
    sale = await till.sell(job.reference, bill, job.tender, meter, till.sender.manner())
    if isinstance(sale, Refused):
        # The shelves were stocked for every order that the invoices may come in.
        shop.books.faults.append(f"{job.reference} was refused, {sale.available} available")
        future.cancel()
    else:
        future.set_result(sale)


async def flash_sale(shop: Shop, skus: Sequence[str], clients: int, show: Show) -> Phase:
    """Every client buys one to three of the best sellers, again and again, until each of these
    was refused to it with nothing left. Half of them stand at the registers, half are in the web:
    they fight over the same shelf."""
    meter = Meter("Flash sale")
    products = [shop.products[sku] for sku in skus]
    total: Units = 0
    for product_id in products:
        total += (await read_level(shop.pages[0], product_id)).quantity

    def tick() -> None:
        show(meter.name, int(meter.units), int(total), shop.note(meter))

    await crowd((_fight(shop, number, products, meter) for number in range(clients)), tick)
    return shop.phase(meter)


async def _fight(shop: Shop, number: int, products: Sequence[str], meter: Meter) -> None:
    place, at_till = divmod(number, 2)
    till, page = shop.tills[place % len(shop.tills)], shop.pages[place % len(shop.pages)]
    random = page.sender.random
    wanted = set(products)
    purchase = 0
    while wanted:
        product_id = random.choice(sorted(wanted))
        units: Units = random.randint(1, MAX_UNITS_AT_ONCE)
        while units:
            purchase += 1
            reference = f"flash-{number}-{purchase}"
            if at_till:
                refused = await _buy_at(till, shop, product_id, units, reference, meter)
            else:
                manner = page.sender.manner()
                refused = await page.sell({product_id: units}, reference, meter, manner)
            units = refused.available[product_id] if refused else 0
            if refused and not units:
                wanted.discard(product_id)


async def _buy_at(
    till: Till, shop: Shop, product_id: str, units: Units, reference: str, meter: Meter
) -> Refused | None:
    bill = bill_of({product_id: units}, shop.prices_minor)
    sold = await till.sell(reference, bill, Tender.CASH, meter, till.sender.manner())
    return sold if isinstance(sold, Refused) else None


async def close_up(shop: Shop, show: Show) -> None:
    """Each cashier counts the drawer and closes the shift."""
    for done, till in enumerate(shop.tills):
        show("Closing", done, len(shop.tills), "")
        await till.close()
    cash = sum(book.cash_minor for book in shop.books.tills.values())
    show("Closing", len(shop.tills), len(shop.tills), f"{major(cash):,.2f} counted")
