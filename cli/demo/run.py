"""A run of the demo from beginning to end, without a screen: what the command and tests call."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path

from cli.data.product_rows import FileUnreadable, open_products
from cli.demo.day import plan_day
from cli.demo.meter import Report, Show, show_nothing
from cli.demo.reading import prove
from cli.demo.retail import MAPPING, Retail, best_sellers, plan_stock, units_sold
from cli.demo.shop import open_shop
from cli.demo.stages import close_up, flash_sale, sell_day, stock_shelves
from core.settings import Settings, get_settings

SAMPLE = Path(__file__).parent / "sample" / "online_retail_sample.csv"


@dataclass(frozen=True, slots=True)
class Options:
    """`clients` customers at once buy at `registers` tills. `invoices` takes only the first so
    many of the file, `rounds` replays them so often, `flash_units` is how many of each best seller
    the flash sale gets at most (None: as many as one round sold). A step is sent again for
    `patience_seconds`, a run lasts `most_seconds`. `settings` are those of the copy at `url`, this
    environment's if nobody says: the mails that it asks for are read on this machine."""

    url: str = "http://127.0.0.1:8000"
    file: Path = SAMPLE
    clients: int = 200
    registers: int = 6
    rounds: int = 10
    invoices: int | None = None
    flash_units: int | None = None
    settings: Settings | None = None
    patience_seconds: float = 180.0
    most_seconds: float = 1800.0

    def quick(self) -> Options:
        """A short run: a few invoices, fewer clients, little to fight over."""
        return replace(self, clients=min(self.clients, 40), rounds=2, invoices=25, flash_units=20)


async def run_demo(options: Options, show: Show = show_nothing) -> Report:
    """Runs all stages against `options.url`. The report's `ok` says whether the proof held.

    Raises FileUnreadable, ApiError for a refusal that no demo can go on after, Unreachable when
    the API was away for longer than the patience, TimeoutError when the run lasted too long.
    """
    began = time.monotonic()
    source = await asyncio.to_thread(open_products, options.file, MAPPING)
    retail = await asyncio.to_thread(Retail.read, source, options.invoices)
    sold = units_sold(retail.invoices())
    if not sold:
        raise FileUnreadable(f"{options.file} has no sale of goods")
    opening = plan_stock(sold, options.rounds, options.flash_units)
    run = secrets.token_hex(4)
    async with (
        asyncio.timeout(options.most_seconds),
        open_shop(
            options.url,
            run,
            options.clients,
            options.registers,
            options.patience_seconds,
            options.settings or get_settings(),
        ) as shop,
    ):
        report = Report(
            run, shop.url, shop.email, shop.password, options.clients, options.registers
        )
        imported = await stock_shelves(shop, retail, opening, source.sha256, show)
        invoices = retail.invoices(shop.products)
        report.products = len(shop.products)
        report.cancellations = sum(invoice.is_return for invoice in invoices)
        report.invoices, report.rounds = len(invoices) - report.cancellations, options.rounds
        report.rejects, report.renamed = imported.rejects, retail.renamed()
        plan = plan_day(invoices, options.rounds, options.registers)
        report.phases.append(await sell_day(shop, plan, options.clients, show))
        hot = [sku for sku in best_sellers(sold) if sku in shop.products]
        report.phases.append(await flash_sale(shop, hot, options.clients, show))
        await close_up(shop, show)
        report.proof = await prove(shop, hot, show)
    report.seconds = round(time.monotonic() - began, 1)
    return report
