"""The command `holdfast import products` on real input, against the real gateway and Postgres."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from core.settings import Settings
from deployments.auth.capability import capability as auth
from deployments.business.capability import capability as business
from deployments.catalog.capability import capability as catalog
from tests.api.harness import Served
from tests.api.in_process import in_process

SAMPLE = Path(__file__).parents[3] / "cli" / "demo" / "sample" / "online_retail_sample.csv"
MAPPING = "name=Description,sku=StockCode,price=UnitPrice"
PASSWORD = "correct horse battery"
TIMEOUT_SECONDS = 60


class Slow:
    """The application, with a disk that takes its time over imports."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.delay_seconds = 0.0
        self.imports = 0
        self.third = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/import"):
            self.imports += 1
            if self.imports == 3:
                self.third.set()

            async def late(message: Any) -> None:
                # After the commit: a client that is killed now does not know that it is done.
                if message["type"] == "http.response.start":
                    await asyncio.sleep(self.delay_seconds)
                await send(message)

            await self.app(scope, receive, late)
        else:
            await self.app(scope, receive, send)


class Site:
    """A running site, and the command line of one of its businesses."""

    def __init__(self, served: Served, slow: Slow, url: str, home: Path) -> None:
        self.served = served
        self.slow = slow
        self.url = url
        self.file = home / "shop.csv"
        self.email = f"owner-{os.urandom(6).hex()}@example.com"
        shutil.copy(SAMPLE, self.file)

    async def register(self) -> str:
        """Returns the business' id."""
        async with httpx2.AsyncClient(base_url=self.url) as http:
            person = {"name": "Shop", "email": self.email, "password": PASSWORD}
            body = {**person, "role": "vendor", "currency": "GBP"}
            reply = await http.post("/api/auth/register", json=body)
            assert reply.status_code == 201, reply.text
            return str(reply.json()["data"]["tenantId"])

    async def start(self, *options: str) -> asyncio.subprocess.Process:
        arguments = ["import", "products", str(self.file), "--map", MAPPING, "--url", self.url]
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli.main",
            *arguments,
            *("--email", self.email, *options),
            env={**os.environ, "HOLDFAST_PASSWORD": PASSWORD, "COLUMNS": "200"},
            cwd=SAMPLE.parents[3],
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *options: str) -> list[int]:
        """Imports to the end; created, updated, unchanged, same again, stocked, rejected."""
        process = await self.start(*options)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            _, output = await process.communicate()
        assert process.returncode == 0, output.decode()
        row = next(line for line in output.decode().splitlines() if line.startswith("│"))
        return [int(cell) for cell in row.strip("│").split("│")]

    async def products(self, tenant: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        async with httpx2.AsyncClient(base_url=self.url) as http:
            for page in range(1, 8):
                query = {"vendorId": tenant, "limit": 100, "page": page, "sort": "createdAt"}
                reply = await http.get("/api/products", params=query)
                found |= {p["sku"]: p for p in reply.json()["data"]}
        return found


@pytest.fixture
async def site(embedded: Settings, tmp_path: Path) -> AsyncIterator[Site]:
    async with in_process(embedded, (auth, catalog, business)) as here:
        slow = Slow(here.served.app)
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(slow, lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        port = listener.getsockname()[1]
        try:
            yield Site(here.served, slow, f"http://127.0.0.1:{port}", tmp_path)
        finally:
            server.should_exit = True
            await serving
            listener.close()


def expected() -> tuple[dict[str, str], int, int]:
    """What the sample must come to, told independently of the importer: the first price of each
    SKU with a name, how many rows say the same again, how many are rejects."""
    first: dict[str, tuple[str, float]] = {}
    same = rejected = 0
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            said = (row["Description"].strip(), float(row["UnitPrice"]))
            if not said[0]:
                rejected += 1
            elif first.setdefault(row["StockCode"], said) is not said:
                if first[row["StockCode"]] == said:
                    same += 1
                else:
                    rejected += 1
    return {sku: name for sku, (name, _) in first.items()}, same, rejected


async def test_the_sample_is_imported_and_a_second_time_changes_nothing(site: Site) -> None:
    names, same, rejected = expected()
    tenant = await site.register()
    assert await site.run() == [len(names), 0, 0, same, 0, rejected]
    products = await site.products(tenant)
    assert {sku: p["name"] for sku, p in products.items()} == names
    assert products["85123A"]["price"] == 2.55
    assert {p["currency"] for p in products.values()} == {"GBP"}
    with site.file.with_name("shop.csv.rejects.csv").open(newline="") as file:
        rejects = list(csv.DictReader(file))
    assert len(rejects) == rejected
    nameless = next(row for row in rejects if row["StockCode"] == "22139")
    assert nameless["reason"] == "name is empty"
    assert SAMPLE.read_text().splitlines()[int(nameless["line"]) - 1].split(",")[1] == "22139"
    assert any(row["reason"].startswith("same SKU as line") for row in rejects)

    assert await site.run("--currency", "GBP") == [0, 0, len(names), same, 0, rejected]
    assert await site.products(tenant) == products
    assert not list(site.file.parent.glob(".*holdfast-import"))


async def test_an_import_that_is_killed_goes_on_where_it_was(site: Site) -> None:
    names, same, rejected = expected()
    tenant = await site.register()
    site.slow.delay_seconds = 0.3
    process = await site.start()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await site.slow.third.wait()
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    site.slow.delay_seconds = 0
    (journal,) = site.file.parent.glob(".*holdfast-import")
    noted = [json.loads(line) for line in journal.read_bytes().splitlines()][1:]
    assert 1 <= len(noted) <= 2
    # The whole count, and nothing twice: noted batches are not sent, the one in doubt is answered.
    assert await site.run() == [len(names), 0, 0, same, 0, rejected]
    assert site.slow.imports <= 3 + 5 - len(noted)
    assert len(await site.products(tenant)) == len(names)
    told = "SELECT FROM outbox WHERE tenant_id = $1 AND type LIKE 'catalog.%'"
    assert len(await site.served.records.fetch(told, UUID(tenant))) == len(names)


async def test_what_cannot_work_says_so(site: Site) -> None:
    async def failing(*options: str) -> tuple[int | None, str]:
        process = await site.start("--patience", "1", *options)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            _, output = await process.communicate()
        return process.returncode, output.decode()

    code, output = await failing()
    assert (code, "invalid_credentials" in output) == (1, True)
    await site.register()
    site.file.write_text("A,B\n1,2\n")
    code, output = await failing()
    assert (code, "column 'Description' is not there; the header has: A, B" in output) == (2, True)
    shutil.copy(SAMPLE, site.file)
    code, output = await failing("--url", "http://127.0.0.1:9")
    assert (code, "no answer from" in output) == (1, True)
