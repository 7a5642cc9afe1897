"""Imports with opening stock, on a running copy in both layouts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from cli.api.client import Client
from cli.data.import_products import ImportReport, import_products
from cli.data.product_rows import open_products, parse_mapping
from tests.api.shop import Shop, done

MAPPING = parse_mapping("sku=Code,name=Name,price=Price,stock=Units")


def written(path: Path, units: int) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("Code", "Name", "Price", "Units"))
        rows.writerows((f"S{n}", f"Lamp {n}", "2.50", "" if n == 9 else units) for n in range(10))
    return path


async def imported(shop: Shop, path: Path, run: str) -> ImportReport:
    token = shop.owner.http.headers["Authorization"].removeprefix("Bearer ")
    source = open_products(path, MAPPING, currency="GBP")
    async with Client(shop.stack.url, token=token) as client:
        return await import_products(client, source.rows(), run=run, source=source.sha256)


async def levels(shop: Shop, report: ImportReport) -> list[tuple[int, int, int]]:
    return [await shop.level(report.product_ids[f"S{n}"]) for n in range(10)]


async def test_opening_stock_is_given_once(shop: Shop, tmp_path: Path) -> None:
    path = written(tmp_path / "shop.csv", 7)
    first = await imported(shop, path, "one")
    assert (first.created, first.stocked, first.rejects) == (10, 9, [])
    assert await levels(shop, first) == [(7, 7, 0)] * 9 + [(0, 0, 0)]
    # The same run again, as after a kill; a new run; and another file for the same products.
    for other, run in ((path, "one"), (path, "two"), (written(tmp_path / "b.csv", 99), "three")):
        again = await imported(shop, other, run)
        assert again.product_ids == first.product_ids
        assert await levels(shop, first) == [(7, 7, 0)] * 9 + [(0, 0, 0)]
    moved = done(await shop.owner.get(f"/api/inventory/{first.product_ids['S0']}/movements"))
    assert len(moved) == 1


async def test_a_service_key_may_keep_the_catalogue(shop: Shop) -> None:
    body: dict[str, Any] = {"name": "Lamp", "price": 1, "sku": "K"}
    machine = await shop.machine("catalog:write")
    made = done(await machine.post("/api/products", body))
    assert made["vendorId"] == str(shop.tenant)
    reader = await shop.machine("catalog:read", "inventory:write")
    assert (await reader.post("/api/products", body)).status_code == 403
    assert (await reader.get(f"/api/products/{made['id']}")).status_code == 200
    stranger = await (await shop.another()).machine("*")
    changed = await stranger.call("PUT", f"/api/products/{made['id']}", json={"name": "Mine"})
    assert changed.status_code == 404
