"""`holdfast import products`: a CSV file into the catalogue, and opening stock into inventory.

Safe to run twice: products are told apart by SKU, and what is there already comes back as
unchanged. Safe to kill: see `cli.data.import_journal`. Opening stock is given only to a product
that has had no movement yet, under a key made of the file and the product.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from cli.api.client import ApiError, Client
from cli.data.import_journal import Journal
from cli.data.product_rows import ProductRow, Reject, Row

BATCH_ROWS = 200
BATCH_BYTES = 256 * 1024
_STOCK_CALLS_AT_ONCE = 16

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(slots=True)
class ImportReport:
    """What became of the rows. `repeated` said the same as an earlier line; `stocked` products
    were given opening stock. `product_ids` is by SKU, of the rows sent by this process."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    stocked: int = 0
    line: int = 0
    rejects: list[Reject] = field(default_factory=list)
    product_ids: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    """Rows that go in one request, and what was settled before it without asking anybody."""

    number: int
    line: int = 0
    rows: list[ProductRow] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    repeated: int = 0


async def import_products(
    client: Client,
    rows: Iterable[Row],
    *,
    run: str,
    source: str,
    journal: Journal | None = None,
    progress: Callable[[ImportReport], None] = lambda report: None,
) -> ImportReport:
    """Sends rows in batches as the business that `client` is signed in to.

    `run` names this run: a batch sent again under it is answered, not done again. `source` names
    the input (a hash of it): opening stock of one source is given once. `progress` is called
    after each batch. Raises ApiError if a whole batch is refused, Unreachable if the API is away
    for longer than the client's patience; what was done by then stays done.
    """
    report = ImportReport()
    skipped = journal.finished if journal else []
    batches = _batches(rows)
    while batch := await asyncio.to_thread(next, batches, None):
        report.rejects += batch.rejects
        report.repeated += batch.repeated
        if batch.number < len(skipped):
            _add(report, skipped[batch.number], batch)
        else:
            record = await _send(client, batch, run, source, report)
            if journal:
                journal.add(record)
        report.line = batch.line
        progress(report)
    report.rejects.sort(key=lambda reject: reject.line)
    return report


async def _send(
    client: Client, batch: _Batch, run: str, source: str, report: ImportReport
) -> dict[str, Any]:
    """Sends one batch and its opening stock; adds to the report and returns what to remember."""
    if not batch.rows:
        return {}
    body = {"rows": [row.fields for row in batch.rows]}
    reply = await client.post("/api/products/import", body, key=f"import-{run}-{batch.number}")
    taken: list[tuple[ProductRow, dict[str, Any]]] = []
    rejects: list[tuple[int, str]] = []
    for row, result in zip(batch.rows, reply["data"]["rows"], strict=True):
        if result["status"] == "rejected":
            reasons = (f"{error['field']} {error['message']}" for error in result["errors"])
            rejects.append((row.line, "; ".join(reasons)))
        else:
            taken.append((row, result))
    stocked = await _open_stock(client, taken, source)
    counts = {name: reply["data"][name] for name in ("created", "updated", "unchanged")}
    record = {**counts, "stocked": stocked, "rejects": rejects}
    _add(report, record, batch)
    report.product_ids.update((row.fields["sku"], result["id"]) for row, result in taken)
    return record


def _add(report: ImportReport, record: Mapping[str, Any], batch: _Batch) -> None:
    for name in ("created", "updated", "unchanged", "stocked"):
        setattr(report, name, getattr(report, name) + record.get(name, 0))
    cells = {row.line: row.source for row in batch.rows}
    report.rejects += [
        Reject(line, reason, cells.get(line, ())) for line, reason in record.get("rejects", [])
    ]


async def _open_stock(
    client: Client, taken: Iterable[tuple[ProductRow, dict[str, Any]]], source: str
) -> int:
    """Gives opening stock to the products that never had any; returns to how many."""
    turns = asyncio.Semaphore(_STOCK_CALLS_AT_ONCE)

    async def give(product_id: str, units: int | Decimal, created: bool) -> bool:
        async with turns:
            if not created and await _has_moved(client, product_id):
                return False
            key = hashlib.sha256(f"opening {source} {product_id}".encode()).hexdigest()
            body = {"productId": product_id, "quantity": units}
            await client.post("/api/inventory/add", body, key=key)
            return True

    calls = [
        give(result["id"], row.stock, result["status"] == "created")
        for row, result in taken
        if row.stock
    ]
    return sum(await asyncio.gather(*calls))


async def _has_moved(client: Client, product_id: str) -> bool:
    reply = await client.request("GET", f"/api/inventory/{product_id}/movements?limit=1")
    if reply.status == 404:
        return False
    if not reply.ok:
        raise ApiError(reply)
    return bool(reply.body["data"])


def _batches(rows: Iterable[Row]) -> Iterator[_Batch]:
    """Cuts rows by number and size, the same way each time: a resumed run counts on it."""
    batch, size, number = _Batch(0), 0, 0
    for row in rows:
        weight = len(_encode(row.fields)) if isinstance(row, ProductRow) else 0
        if number == BATCH_ROWS or size + weight > BATCH_BYTES:
            yield batch
            batch, size, number = _Batch(batch.number + 1), 0, 0
        size, number = size + weight, number + 1
        batch.line = row.line
        if isinstance(row, ProductRow):
            batch.rows.append(row)
        elif isinstance(row, Reject):
            batch.rejects.append(row)
        else:
            batch.repeated += 1
    if number:
        yield batch
