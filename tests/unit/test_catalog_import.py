"""The importer against a small server that remembers keys: what it sends, and what it does not
send again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cli.api.client import ApiError, Client
from cli.data.import_journal import ImportRunning, journal
from cli.data.import_products import BATCH_ROWS, ImportReport, import_products
from cli.data.import_run import write_rejects
from cli.data.product_rows import ProductRow, Reject, Repeat, Row


class Killed(Exception):
    pass


class Server:
    """Products by SKU and stock by product; answers a known key without doing it again."""

    def __init__(self) -> None:
        self.products: dict[str, str] = {}
        self.stock: dict[str, int] = {}
        self.answers: dict[str, httpx2.Response] = {}
        self.imports = 0
        self.fail_import: int | None = None

    def serve(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            product = request.url.path.split("/")[3]
            moved = [{"onHandDelta": 1}] if product in self.stock else []
            return httpx2.Response(200 if moved else 404, json={"data": moved})
        key = request.headers["Idempotency-Key"]
        if key not in self.answers:
            body = json.loads(request.content)
            answer = self._import(body) if "rows" in body else self._add(body)
            if answer.is_error:
                return answer
            self.answers[key] = answer
        known = self.answers[key]
        return httpx2.Response(known.status_code, content=known.content)

    def _import(self, body: dict[str, Any]) -> httpx2.Response:
        self.imports += 1
        if self.imports == self.fail_import:
            return httpx2.Response(400, json={"code": "stop", "detail": "stop", "errors": []})
        rows = [self._row(row) for row in body["rows"]]
        counts = {
            name: sum(row["status"] == name for row in rows)
            for name in ("created", "updated", "unchanged", "rejected")
        }
        return httpx2.Response(200, json={"data": {**counts, "rows": rows}})

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        sku = row["sku"]
        if row["name"] == "bad":
            errors = [{"field": "name", "message": "is bad"}]
            return {"sku": sku, "status": "rejected", "id": None, "errors": errors}
        status = "unchanged" if sku in self.products else "created"
        product = self.products.setdefault(sku, f"id-{sku}")
        return {"sku": sku, "status": status, "id": product, "errors": []}

    def _add(self, body: dict[str, Any]) -> httpx2.Response:
        product = body["productId"]
        self.stock[product] = self.stock.get(product, 0) + body["quantity"]
        return httpx2.Response(200, json={"data": {}})

    def client(self) -> Client:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self.serve))
        return Client("http://h", http=http)


def rows(number: int, *, stock: int | None = None, name: str = "n") -> list[Row]:
    return [
        ProductRow(n + 2, {"sku": f"S{n}", "name": name, "price": 1}, stock, ("cell",))
        for n in range(number)
    ]


async def imported(server: Server, items: Iterable[Row], run: str = "r") -> ImportReport:
    return await import_products(server.client(), items, run=run, source="file")


async def test_every_row_is_counted_once() -> None:
    server = Server()
    items: list[Row] = [
        *rows(2),
        Repeat(4),
        Reject(5, "no name", ("x",)),
        ProductRow(6, {"sku": "B", "name": "bad", "price": 1}, None, ("y",)),
    ]
    seen: list[int] = []
    report = await import_products(
        server.client(), items, run="r", source="f", progress=lambda r: seen.append(r.line)
    )
    assert (report.created, report.repeated, report.unchanged) == (2, 1, 0)
    assert report.rejects == [
        Reject(5, "no name", ("x",)),
        Reject(6, "name is bad", ("y",)),
    ]
    assert report.product_ids == {"S0": "id-S0", "S1": "id-S1"}
    assert seen == [6]


async def test_a_second_run_changes_nothing() -> None:
    server = Server()
    first = await imported(server, rows(5, stock=7), run="one")
    second = await imported(server, rows(5, stock=7), run="two")
    assert (first.created, first.stocked) == (5, 5)
    assert (second.created, second.unchanged, second.stocked) == (0, 5, 0)
    assert set(server.stock.values()) == {7}


async def test_opening_stock_that_was_missed_is_caught_up() -> None:
    server = Server()
    await imported(server, rows(3), run="one")
    await imported(server, rows(3, stock=4), run="two")
    assert list(server.stock.values()) == [4, 4, 4]


async def test_batches_are_bounded_by_number_and_size() -> None:
    server = Server()
    await imported(server, rows(BATCH_ROWS * 2 + 1))
    assert server.imports == 3
    server = Server()
    await imported(server, rows(40, name="n" * 16_000))
    assert server.imports == 3


async def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    server, path = Server(), tmp_path / "j"
    server.fail_import = 3
    items = [*rows(BATCH_ROWS * 4), ProductRow(9999, {"sku": "B", "name": "bad", "price": 1})]
    items.insert(0, Reject(1, "first"))
    with pytest.raises(ApiError), journal(path, "f") as notes:
        await import_products(server.client(), items, run=notes.run, source="f", journal=notes)
    path.write_bytes(path.read_bytes() + b'{"torn": ')
    with journal(path, "f") as notes:
        assert len(notes.finished) == 2
        report = await import_products(
            server.client(), items, run=notes.run, source="f", journal=notes
        )
    # Three before it stopped, the third again, the last two.
    assert server.imports == 6
    assert (report.created, report.unchanged) == (BATCH_ROWS * 4, 0)
    assert [reject.line for reject in report.rejects] == [1, 9999]
    assert not path.exists()


async def test_a_batch_that_was_done_but_not_noted_is_not_done_again() -> None:
    server = Server()
    first = await imported(server, rows(5, stock=2), run="same")
    again = await imported(server, rows(5, stock=2), run="same")
    assert (first.created, again.created, server.imports) == (5, 5, 1)
    assert set(server.stock.values()) == {2}


def test_a_journal_is_for_one_input_and_one_process(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with suppress(Killed), journal(path, "one") as notes:
        first = notes.run
        notes.add({"created": 1})
        with pytest.raises(ImportRunning), journal(path, "one"):
            pass
        raise Killed
    with suppress(Killed), journal(path, "one") as notes:
        assert (notes.run, notes.finished) == (first, [{"created": 1}])
        raise Killed
    with journal(path, "two") as notes:
        assert notes.run != first
        assert notes.finished == []
    path.write_bytes(b"\xff not a journal\n")
    with journal(path, "two") as notes:
        assert notes.finished == []
    with pytest.raises(OSError, match="absent"), journal(tmp_path / "absent" / "j", "x"):
        pass


def test_rejects_can_be_mended_and_imported(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    write_rejects(path, ("Code", "Name"), [Reject(3, "name is empty", ("A, B", ""))])
    assert path.read_text() == 'line,reason,Code,Name\n3,name is empty,"A, B",\n'
