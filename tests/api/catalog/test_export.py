"""`holdfast export products`, and the way back: it imports to exactly the same."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cli.api.sign_in import Caller
from cli.data import export_run, import_run
from cli.data.import_products import ImportReport
from cli.data.product_rows import open_products
from deployments.catalog.files.csv_format import COLUMNS
from tests.api.catalog.test_import import (
    PASSWORD,
    SAMPLE,
    TIMEOUT_SECONDS,
    Site,
)
from tests.api.catalog.test_import import site as site

# What a spreadsheet takes for the beginning of a formula, some of them in East Asia only.
STARTS = "=+-@\t\r＝＋－＠"  # noqa: RUF001
PRODUCTS: list[dict[str, Any]] = [
    {"name": "=SUM(A1:A9)", "sku": "-5", "price": 2.5, "description": '  a\r\n=b,"c"\n\t\'d '},
    {"name": "＝1+1", "sku": "＠wide", "price": 0, "description": "＋1", "barcode": "－44"},  # noqa: RUF001
    {"name": "'=still", "sku": "'@x", "price": 0, "description": "\n+1", "barcode": "+44"},
    {"name": "'plain", "sku": "A B", "price": 99999999999.99, "category": "Toys > =Cars"},
    {"name": "Dinar", "sku": "KWD", "price": 1.005, "currency": "KWD", "cost": 0.125},
    {"name": "Yen", "sku": "JPY", "price": 7, "currency": "JPY", "prices": {"KWD": 0.001}},
    {
        "name": "Hemd \U0001f455 “weiß”",
        "sku": "SHIRT",
        "price": 10,
        "prices": {"USD": 12.34, "EUR": 11},
        "cost": 3.21,
        "taxClass": "=Food & wear",
        "category": "Clothes > Men > Shirts",
        "images": ["https://x.example/b.png?a=1|2", "https://x.example/a.png"],
        "imageAlts": {"https://x.example/a.png": 'From "behind"'},
        "backorderLimit": 7,
        "variants": [
            {"options": {"size": "M", "colour": "=red"}, "sku": "SHIRT-M", "barcode": "501"},
            {
                "options": {"size": "L", "colour": "=red"},
                "sku": "SHIRT-L",
                "price": 11.5,
                "taxClass": "Reduced",
                "prices": {"USD": 13},
                "cost": 0,
                "position": 3,
                "images": ["https://x.example/l.png"],
            },
        ],
    },
]


@pytest.fixture
async def http(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=site.url, timeout=30) as client:
        yield client


async def signed_in(site: Site, http: httpx2.AsyncClient) -> str:
    """A new business; `site` and `http` act for it from now on."""
    site.email = f"owner-{os.urandom(6).hex()}@example.com"
    tenant = await site.register()
    body = {"email": site.email, "password": PASSWORD}
    token = (await http.post("/api/auth/login", json=body)).json()["token"]
    http.headers["Authorization"] = f"Bearer {token}"
    return tenant


async def stocked(http: httpx2.AsyncClient) -> None:
    """A catalogue with something of everything."""
    made: dict[str, Any] = {}
    ids = await tax_classes(http)
    for body in (classed(product, ids) for product in PRODUCTS):
        data = (await ok(http.post("/api/products", json=body)))["data"]
        made[data["sku"]] = data["id"]
        made |= {variant["sku"]: variant["id"] for variant in data["variants"]}
    parts = [
        {"productId": made["SHIRT-M"], "quantity": 2},
        {"productId": made["-5"], "quantity": 1},
    ]
    gift = {"name": "Gift", "sku": "GIFT", "price": 30, "kind": "bundle", "components": parts}
    bundle = (await ok(http.post("/api/products", json=gift)))["data"]["id"]
    # A part that is younger than its bundle.
    late = await ok(http.post("/api/products", json={"name": "L", "sku": "LATE", "price": 1}))
    parts.append({"productId": late["data"]["id"], "quantity": 3})
    await ok(http.put(f"/api/products/{bundle}", json={"components": parts}))


TAX_CLASSES = ("=Food & wear", "Reduced")


async def tax_classes(http: httpx2.AsyncClient) -> dict[str, str]:
    """The business's classes, made; ids by name."""
    address = "/api/business/tax-classes"
    return {
        name: (await ok(http.post(address, json={"name": name})))["data"]["id"]
        for name in TAX_CLASSES
    }


def classed(body: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    """A product as it is posted: with the ids of its classes."""
    named = {name: value for name, value in body.items() if name != "taxClass"}
    if "taxClass" in body:
        named["taxClassId"] = ids[body["taxClass"]]
    if "variants" in body:
        named["variants"] = [classed(variant, ids) for variant in body["variants"]]
    return named


async def ok(call: Any) -> Any:
    reply = await call
    assert reply.is_success, reply.text
    return reply.json()


async def holdfast(site: Site, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.main",
        *arguments,
        *("--url", site.url, "--email", site.email, "--patience", "5"),
        env={**os.environ, "HOLDFAST_PASSWORD": PASSWORD, "COLUMNS": "200"},
        cwd=SAMPLE.parents[3],
        stderr=asyncio.subprocess.STDOUT,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


def caller_of(site: Site) -> Caller:
    return Caller(site.url, None, site.email, PASSWORD, patience_seconds=30)


async def exported(site: Site, file: Path) -> bytes:
    await asyncio.to_thread(export_run.run, caller_of(site), file)
    return await asyncio.to_thread(file.read_bytes)


async def imported(site: Site, file: Path) -> list[int]:
    """Created, updated, unchanged, rejected."""

    def bring_in() -> ImportReport:
        rejects = file.with_name(file.name + ".rejects.csv")
        return import_run.run(caller_of(site), open_products(file, None), rejects)

    report = await asyncio.to_thread(bring_in)
    return [report.created, report.updated, report.unchanged, len(report.rejects)]


async def test_an_export_imports_again_to_the_same(
    site: Site, http: httpx2.AsyncClient, tmp_path: Path
) -> None:
    await signed_in(site, http)
    await stocked(http)
    first, second, third = (tmp_path / f"{n}.csv" for n in (1, 2, 3))
    text = await exported(site, first)
    rows = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(PRODUCTS) + 2 + 2
    # Nothing that a spreadsheet would run.
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple(STARTS)]
    assert await imported(site, first) == [0, 0, len(rows), 0]

    await signed_in(site, http)
    # Nothing is taken for free of tax, or taxed by guess; what else the file holds comes in.
    partly = await imported(site, first)
    with first.with_name("1.csv.rejects.csv").open(newline="") as report:
        rejects = list(csv.DictReader(report))
    assert [partly[0], partly[3]] == [len(rows) - len(rejects), len(rejects)]
    assert [reject for reject in rejects if "taxClass is no tax class" in reject["reason"]]
    await signed_in(site, http)
    await tax_classes(http)
    assert await imported(site, first) == [len(rows), 0, 0, 0]
    assert await exported(site, second) == text
    assert await imported(site, first) == [0, 0, len(rows), 0]

    # What was changed meanwhile is changed back.
    shirt = await found(http, "SHIRT")
    body = {"barcode": "9", "prices": {}, "cost": None, "category": None, "backorderLimit": 0}
    await ok(http.put(f"/api/products/{shirt['id']}", json=body | {"description": "x"}))
    variant = shirt["variants"][0]["id"]
    await ok(http.put(f"/api/products/variants/{variant}", json={"barcode": None, "price": 3}))
    assert await exported(site, third) != text
    assert await imported(site, first) == [0, 2, len(rows) - 2, 0]
    assert await exported(site, third) == text


async def found(http: httpx2.AsyncClient, sku: str) -> Any:
    tenant = (await ok(http.get("/api/auth/me")))["data"]["tenantId"]
    query = {"vendorId": tenant, "sku": sku}
    (one,) = (await ok(http.get("/api/products", params=query)))["data"]
    return (await ok(http.get(f"/api/products/{one['id']}")))["data"]


async def test_pages_of_any_size_make_the_same_file(
    site: Site, http: httpx2.AsyncClient, tmp_path: Path
) -> None:
    await signed_in(site, http)
    await stocked(http)
    whole = await exported(site, tmp_path / "whole.csv")
    for limit in (1, 2, 3, 8, 200):
        pieces, after = [], None
        while True:
            query = {"limit": limit} | ({"after": after} if after else {})
            reply = await http.get("/api/products/export", params=query)
            assert reply.headers["content-type"] == "text/csv; charset=utf-8"
            pieces.append(reply.content)
            after = reply.headers.get("X-Holdfast-Next")
            if after is None:
                break
        assert b"".join(pieces) == whole, limit
    for bad in ("x", "0", "2.1.00000000000000000000000000000000", "0.1.x", "0." + "9" * 40):
        assert (await http.get(f"/api/products/export?after={bad}")).status_code == 400, bad
    far = "1." + "9" * 17 + "." + "f" * 32
    assert (await http.get(f"/api/products/export?after={far}")).status_code in (200, 400)


async def test_what_an_import_cannot_take_of_it_is_told(
    site: Site, http: httpx2.AsyncClient, tmp_path: Path
) -> None:
    await signed_in(site, http)
    file = tmp_path / "bad.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerow({"sku": "A", "name": "A", "price": "1"})
        writer.writerow({"sku": "B", "name": "B", "price": "much"})
        writer.writerow({"sku": "C", "name": "C", "price": "1", "prices": "{"})
        writer.writerow({"sku": "D", "name": "D", "price": "1.005"})
        writer.writerow({"sku": "E", "parentSku": "Z", "options": '{"a": "b"}'})
        writer.writerow({"sku": "F", "parentSku": "A", "options": '{"a": "b"}'})
        writer.writerow({"sku": "G", "name": "G", "price": "1", "kind": "bundle"})
    assert await imported(site, file) == [2, 0, 0, 5]
    with file.with_name("bad.csv.rejects.csv").open(newline="") as report:
        reasons = {row["sku"]: row["reason"] for row in csv.DictReader(report)}
    assert "price is not a number" in reasons["B"]
    assert "prices is not the JSON" in reasons["C"]
    assert "more decimals" in reasons["D"]
    assert "parentSku is no product" in reasons["E"]
    assert "components" in reasons["G"]
    code, output = await holdfast(site, "export", "products", str(file))
    assert (code, "Wrote 3 lines" in output) == (0, True), output
    code, output = await holdfast(site, "import", "products", str(file))
    assert (code, "unchanged" in output) == (0, True), output
    file.write_text("a,b\n1,2\n")
    code, output = await holdfast(site, "import", "products", str(file))
    assert (code, "--map" in output) == (2, True)
    site.url = "http://127.0.0.1:9"
    code, output = await holdfast(site, "export", "products", str(file))
    assert (code, "no answer from" in output) == (1, True)
    assert file.read_text() == "a,b\n1,2\n"
